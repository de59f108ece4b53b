//! `pusher:unsubscribe`: no answer; a channel the client is not in is ignored. The end of a connection does the same for
//! each of its channels.

use std::sync::Arc;

use crate::app::App;
use crate::channel::{Channel, Joined};
use crate::connection::session::Session;
use crate::outbound::Outbound;

/// Takes the client out of the channel.
pub(in crate::connection) fn run(session: &mut Session, channel: &str) {
    if let Some((channel, joined)) = session.subscriptions.remove(channel) {
        leave(session.app(), session.outbound(), &channel, &joined);
    }
}

/// Gives one subscription back.
pub(in crate::connection) fn leave(
    app: &App,
    outbound: &Arc<Outbound>,
    channel: &Arc<Channel>,
    joined: &Joined,
) {
    app.channels.leave(channel, joined);
    app.cluster.leave(channel.name(), joined.user());
    if let Some(user) = joined.user() {
        app.users.disappear(user.as_str(), outbound);
    }
    app.channels.announce_count(channel);
}
