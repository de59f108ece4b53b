//! `pusher:subscribe`: lets the client into a channel. Who may is decided by [`gema_protocol::admission`].

use bytes::Bytes;
use gema_protocol::admission::{Admission, Applicant, admit};
use gema_protocol::channel::ChannelName;
use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::message::Subscribe;
use gema_protocol::presence::{Member, UserId};
use tokio::sync::oneshot::Receiver;

use crate::app::App;
use crate::cache::Cached;
use crate::channel::{Delivery, Joiner};
use crate::channels::Full;
use crate::connection::session::Session;

/// A subscription that was admitted, and waits for the cluster to be heard first.
pub(in crate::connection) struct Parked {
    name: ChannelName,
    member: Option<Member>,
}

impl Parked {
    /// The channel, which is held for it.
    pub(in crate::connection) fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The user that the other nodes take for present already.
    pub(in crate::connection) fn user(&self) -> Option<&UserId> {
        self.member.as_ref().map(|member| &member.user_id)
    }
}

/// Joins the channel and sends the confirmation; a repeated subscription is checked and confirmed again. What comes back
/// is to be waited for before [`resume`].
pub(in crate::connection) fn run(
    session: &mut Session,
    request: &Subscribe<'_>,
) -> Result<Delivery, ErrorEvent> {
    let config = &session.app().config;
    let name = ChannelName::parse(&request.channel, config.limits.channel_name)
        .map_err(ErrorEvent::invalid_channel)?;
    let socket_id = session.outbound().id().to_string();
    let applicant = Applicant { socket_id: &socket_id, signed_in: session.user.as_deref() };
    let member = admit(&config.credentials, &config.limits, applicant, &name, request)?;
    if !session.subscriptions.contains_key(&name)
        && let Some(heard) = announce(session.app(), &name, member.as_ref())?
    {
        session.parked = Some(Box::new(Parked { name, member }));
        return Ok(Delivery::after(heard));
    }
    enter(session, name, member.as_ref()).map(|()| Delivery::done())
}

/// Tells the other nodes who comes, unless there is no room: they would see somebody come and go.
fn announce(
    app: &App,
    name: &ChannelName,
    member: Option<&Member>,
) -> Result<Option<Receiver<()>>, ErrorEvent> {
    if let (true, Some(member), Some(most)) =
        (app.cluster.is_on(), member, app.config.limits.presence_members)
    {
        let checked = app.channels.check_room(name, &member.user_id, most);
        checked.map_err(|Full(most)| ErrorEvent::too_many_members(most))?;
    }
    Ok(app.cluster.enter(name, member))
}

/// Goes on with a subscription that has waited.
pub(in crate::connection) fn resume(session: &mut Session, parked: Parked) -> Result<(), ErrorEvent> {
    enter(session, parked.name, parked.member.as_ref())
}

fn enter(session: &mut Session, name: ChannelName, member: Option<&Member>) -> Result<(), ErrorEvent> {
    if name.kind().is_cache() {
        join_cached(session, name, member)
    } else {
        join(session, name, member, None)
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
    if let Some(name) = missed {
        session.app().report_miss(name);
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
    let joiner = Joiner { outbound: &outbound, member, most_members, then, now_ms: app.cluster.now_ms() };
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
        app.cluster.leave(&name, member.map(|member| &member.user_id));
        ErrorEvent::too_many_members(most)
    })?;
    app.channels.announce_count(&joined.0);
    if Admission::of(name.kind()) != Admission::Anyone {
        session.probation.pass();
    }
    session.subscriptions.insert(name, joined);
    Ok(())
}
