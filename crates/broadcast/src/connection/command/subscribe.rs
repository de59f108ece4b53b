//! `pusher:subscribe`: lets the client into a channel. Who may is decided by [`gema_protocol::admission`].

use bytes::Bytes;
use gema_protocol::admission::{Admission, Applicant, admit};
use gema_protocol::channel::ChannelName;
use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::message::Subscribe;
use gema_protocol::presence::Member;
use gema_protocol::webhook::decide::Fact;

use crate::cache::Cached;
use crate::channel::Joiner;
use crate::channels::Full;
use crate::connection::session::Session;

/// Joins the channel and sends the confirmation; a repeated subscription is checked and confirmed again.
pub(in crate::connection) fn run(session: &mut Session, request: &Subscribe<'_>) -> Result<(), ErrorEvent> {
    let config = &session.app().config;
    let name = ChannelName::parse(&request.channel, config.limits.channel_name)
        .map_err(ErrorEvent::invalid_channel)?;
    let socket_id = session.outbound().id().to_string();
    let applicant = Applicant { socket_id: &socket_id, signed_in: session.user.as_deref() };
    let member = admit(&config.credentials, &config.limits, applicant, &name, request)?;
    if name.kind().is_cache() {
        join_cached(session, name, member.as_ref())
    } else {
        join(session, name, member.as_ref(), None)
    }
}

/// Holds the channel's slot in the cache meanwhile: an event is either the cached one or a live one, never both.
fn join_cached(session: &mut Session, name: ChannelName, member: Option<&Member>) -> Result<(), ErrorEvent> {
    let slot = session.app().cache.slot(&name);
    let cached = slot.lock();
    let hit = cached.as_ref().filter(|event| event.remaining().is_some());
    let then = hit.map_or_else(|| frame::cache_miss(&name), |Cached { frame, .. }| frame.clone());
    let missed = hit.is_none().then(|| name.clone());
    join(session, name, member, Some(&then))?;
    if let (Some(name), Some(facts)) = (missed, &session.app().facts) {
        facts.push(Fact::Missed(name));
    }
    Ok(())
}

fn join(
    session: &mut Session,
    name: ChannelName,
    member: Option<&Member>,
    then: Option<&Bytes>,
) -> Result<(), ErrorEvent> {
    let app = session.app().clone();
    let outbound = session.outbound().clone();
    let most_members = app.config.limits.presence_members;
    let joiner = Joiner { outbound: &outbound, member, most_members, then };
    if let Some((channel, _)) = session.subscriptions.get(&name) {
        channel.greet_again(&joiner);
        return Ok(());
    }
    // Known before it is confirmed: whoever has read the confirmation can be found and disconnected.
    if let Some(member) = member {
        app.users.appear(member.user_id.as_str(), &outbound);
    }
    let joined = app.channels.join(&name, &joiner).map_err(|Full(most)| {
        if let Some(member) = member {
            app.users.disappear(member.user_id.as_str(), &outbound);
        }
        ErrorEvent::too_many_members(most)
    })?;
    app.announce_count(&joined.0);
    if Admission::of(name.kind()) != Admission::Anyone {
        session.probation.pass();
    }
    session.subscriptions.insert(name, joined);
    Ok(())
}
