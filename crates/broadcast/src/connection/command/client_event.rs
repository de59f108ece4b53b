//! `client-*` events: from one subscriber to the others, without the app's back end.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use gema_cluster::entry::Event;
use gema_protocol::channel::ChannelKind;
use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::webhook::event::Sent;
use serde_json::value::RawValue;

use crate::channel::{Channel, Delivery};
use crate::config::ClientEvents;
use crate::connection::session::Session;

/// A client event as it was received.
pub(in crate::connection) struct ClientEvent<'a> {
    pub(in crate::connection) event: Cow<'a, str>,
    pub(in crate::connection) channel: Cow<'a, str>,
    pub(in crate::connection) data: Option<&'a RawValue>,
}

/// Passes the event on, with its data as received. In presence channels the others learn who sent it, from what the app
/// signed and never from the client.
pub(in crate::connection) fn run(
    session: &mut Session,
    event: &ClientEvent<'_>,
    now: Duration,
) -> Result<Delivery, ErrorEvent> {
    check(session, event)?;
    if session.client_events.as_mut().is_some_and(|limiter| !limiter.allows(now)) {
        return Err(ErrorEvent::rate_limited());
    }
    let Some((channel, joined)) = session.subscriptions.get(event.channel.as_ref()) else {
        return from_outside(session, event);
    };
    let user_id = joined.user().map(gema_protocol::presence::UserId::as_str);
    Ok(pass_on(session, event, channel, user_id))
}

fn pass_on(
    session: &Session,
    event: &ClientEvent<'_>,
    channel: &Arc<Channel>,
    user_id: Option<&str>,
) -> Delivery {
    session.app().traffic.published.add(1);
    let frame = frame::client_event(&event.event, channel.name(), event.data, user_id);
    let socket_id = session.outbound().id();
    let told = || Event { text: frame::payload(&frame), except: Some(socket_id), keep: false };
    session.app().cluster.tell(channel.name(), told);
    channel.publish_client_event(frame, &Sent { event: &event.event, data: event.data, socket_id, user_id })
}

/// Passes the event of a connection that has not joined the channel on, if the app hears everybody. Nobody has signed who
/// its sender is.
fn from_outside(session: &Session, event: &ClientEvent<'_>) -> Result<Delivery, ErrorEvent> {
    let app = session.app();
    if app.config.client_events != ClientEvents::Anyone {
        return Err(ErrorEvent::not_a_member());
    }
    let Some(channel) = app.channels.get(&event.channel) else { return Ok(Delivery::done()) };
    Ok(pass_on(session, event, &channel, None))
}

/// Whether this app takes such an event on such a channel.
fn check(session: &Session, event: &ClientEvent<'_>) -> Result<(), ErrorEvent> {
    let config = &session.app().config;
    if config.client_events == ClientEvents::Nobody {
        return Err(ErrorEvent::client_events_off());
    }
    if !ChannelKind::of(&event.channel).accepts_client_events(config.client_events_on_public_channels) {
        return Err(ErrorEvent::client_event_on_public_channel());
    }
    let (name, most) = (event.event.chars().count(), config.limits.event_name);
    if name > most {
        return Err(ErrorEvent::client_event_too_large("name", name, most));
    }
    let (data, most) = (event.data.map_or(0, |data| data.get().len()), config.limits.client_event_data);
    if data > most {
        return Err(ErrorEvent::client_event_too_large("data", data, most));
    }
    Ok(())
}
