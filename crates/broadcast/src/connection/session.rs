//! What a client's messages do: one session per connection. Each command has a file of its own in [`super::command`].
//! What the session holds (subscriptions, sign-in, watchlist) is given back by `Drop`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gema_protocol::channel::ChannelName;
use gema_protocol::close::CloseCode;
use gema_protocol::error::ErrorEvent;
use gema_protocol::message::ClientMessage;
use gema_protocol::presence::Member;
use gema_protocol::probation::Probation;
use gema_protocol::rate_limit::RateLimiter;
use gema_protocol::{frame, message};

use super::command::signin::Unconfirmed;
use super::command::subscribe::Parked;
use super::command::{client_event, signin, subscribe, unsubscribe};
use crate::app::App;
use crate::channel::{Channel, Delivery, Joined};
use crate::outbound::Outbound;
use crate::registration::Registration;

/// A connection's dealings with its app.
pub(super) struct Session {
    registration: Registration,
    /// The channels it is in.
    pub(super) subscriptions: HashMap<ChannelName, (Arc<Channel>, Joined)>,
    /// The user it is signed in as.
    pub(super) user: Option<Box<Member>>,
    /// Users it watches.
    pub(super) watchlist: Vec<Box<str>>,
    /// Its client events.
    pub(super) client_events: Option<RateLimiter>,
    /// The time it has to sign in or to join a signed channel.
    pub(super) probation: Probation,
    /// A subscription that waits for the cluster; nothing is read meanwhile.
    pub(super) parked: Option<Box<Parked>>,
    /// A sign-in that waits for the cluster; nothing is read meanwhile.
    pub(super) unconfirmed: Option<Box<Unconfirmed>>,
    messages: Option<RateLimiter>,
}

impl Session {
    pub(super) fn new(registration: Registration) -> Self {
        let app = registration.app().clone();
        let config = &app.config;
        let messages = config.message_rate.map(|limit| RateLimiter::new(limit.rate));
        let client_events = config.limits.client_event_rate().map(RateLimiter::new);
        Self {
            registration,
            subscriptions: HashMap::new(),
            user: None,
            watchlist: Vec::new(),
            client_events,
            probation: Probation::new(Duration::ZERO, config.authorization_timeout),
            parked: None,
            unconfirmed: None,
            messages,
        }
    }

    /// The app it is connected to.
    pub(super) fn app(&self) -> &Arc<App> {
        self.registration.app()
    }

    /// Where its client's frames go.
    pub(super) fn outbound(&self) -> &Arc<Outbound> {
        self.registration.outbound()
    }

    /// Handles one message at `now`, a time since the connection was opened. A client event's delivery comes back, for
    /// the connection to wait for; or the reason to close the connection now.
    pub(super) fn on_text(&mut self, text: &str, now: Duration) -> Result<Delivery, CloseCode> {
        let traffic = &self.registration.app().traffic;
        traffic.received.add(1);
        traffic.received_bytes.add(text.len());
        if self.messages.as_mut().is_some_and(|limiter| !limiter.allows(now)) {
            return self.refuse_rate();
        }
        let handled = message::parse(text).and_then(|message| self.on_message(message, now));
        Ok(handled.unwrap_or_else(|error| {
            self.app().traffic.refused.add(1);
            self.outbound().send(&frame::error(&error, None));
            Delivery::done()
        }))
    }

    fn on_message(&mut self, message: ClientMessage<'_>, now: Duration) -> Result<Delivery, ErrorEvent> {
        match message {
            ClientMessage::Ping => self.outbound().send(&frame::pong()),
            ClientMessage::Pong | ClientMessage::Ignored => {}
            ClientMessage::Subscribe(request) => {
                return subscribe::run(self, &request)
                    .inspect_err(|error| self.tell_channel(&request.channel, error));
            }
            ClientMessage::Unsubscribe { channel } => unsubscribe::run(self, &channel),
            ClientMessage::Signin { auth, user_data } => return signin::run(self, &auth, &user_data),
            ClientMessage::ClientEvent { event, channel, data } => {
                return client_event::run(self, &client_event::ClientEvent { event, channel, data }, now);
            }
        }
        Ok(Delivery::done())
    }

    /// What the last message waited for has come: goes on with it.
    pub(super) fn resume(&mut self) {
        if let Some(unconfirmed) = self.unconfirmed.take() {
            signin::confirm(self, &unconfirmed);
        }
        let Some(parked) = self.parked.take() else { return };
        let channel = parked.name().clone();
        if let Err(error) = subscribe::resume(self, *parked) {
            self.app().traffic.refused.add(1);
            self.tell_channel(&channel, &error);
            self.outbound().send(&frame::error(&error, None));
        }
    }

    /// Too many messages: the client is told, and sent away for a second if the app wants that.
    fn refuse_rate(&self) -> Result<Delivery, CloseCode> {
        self.app().traffic.refused.add(1);
        self.outbound().send(&frame::error(&ErrorEvent::rate_limited(), None));
        if self.app().config.message_rate.is_some_and(|limit| limit.terminate) {
            return Err(CloseCode::RateLimited);
        }
        Ok(Delivery::done())
    }

    /// Tells those who listen on a channel that the subscription failed, if the app wants that.
    fn tell_channel(&self, channel: &str, error: &ErrorEvent) {
        if self.app().config.subscription_errors {
            self.outbound().send(&frame::subscription_error(channel, error));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (app, outbound) = (self.registration.app(), self.registration.outbound());
        for (_, (channel, joined)) in self.subscriptions.drain() {
            unsubscribe::leave(app, outbound, &channel, &joined);
        }
        if let Some(parked) = &self.parked {
            app.cluster.leave(parked.name(), parked.user());
        }
        for id in &self.watchlist {
            app.users.unwatch(id, outbound);
        }
        if let Some(user) = &self.user {
            app.users.sign_out(user.user_id.as_str(), outbound);
            app.cluster.sign_out(user.user_id.as_str(), self.watchlist.iter().map(AsRef::as_ref));
        }
    }
}
