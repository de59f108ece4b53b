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
use gema_protocol::rate_limit::RateLimiter;
use gema_protocol::{frame, message};

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
    messages: Option<RateLimiter>,
}

impl Session {
    pub(super) fn new(registration: Registration) -> Self {
        let config = &registration.app().config;
        let messages = config.message_rate.map(|limit| RateLimiter::new(limit.rate));
        let client_events = config.limits.client_event_rate().map(RateLimiter::new);
        Self {
            registration,
            subscriptions: HashMap::new(),
            user: None,
            watchlist: Vec::new(),
            client_events,
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
    /// the connection to wait for.
    pub(super) fn on_text(&mut self, text: &str, now: Duration) -> Delivery {
        if self.messages.as_mut().is_some_and(|limiter| !limiter.allows(now)) {
            return self.refuse_rate();
        }
        let handled = message::parse(text).and_then(|message| self.on_message(message, now));
        handled.unwrap_or_else(|error| {
            self.outbound().send(&frame::error(&error, None));
            Delivery::done()
        })
    }

    fn on_message(&mut self, message: ClientMessage<'_>, now: Duration) -> Result<Delivery, ErrorEvent> {
        match message {
            ClientMessage::Ping => self.outbound().send(&frame::pong()),
            ClientMessage::Pong | ClientMessage::Ignored => {}
            ClientMessage::Subscribe(request) => subscribe::run(self, &request)?,
            ClientMessage::Unsubscribe { channel } => unsubscribe::run(self, &channel),
            ClientMessage::Signin { auth, user_data } => signin::run(self, &auth, &user_data)?,
            ClientMessage::ClientEvent { event, channel, data } => {
                return client_event::run(self, &client_event::ClientEvent { event, channel, data }, now);
            }
        }
        Ok(Delivery::done())
    }

    /// Too many messages: the client is told, and sent away for a second if the app wants that.
    fn refuse_rate(&self) -> Delivery {
        self.outbound().send(&frame::error(&ErrorEvent::rate_limited(), None));
        if self.app().config.message_rate.is_some_and(|limit| limit.terminate) {
            self.outbound().close(&frame::close(CloseCode::RateLimited));
        }
        Delivery::done()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (app, outbound) = (self.registration.app(), self.registration.outbound());
        for (_, (channel, joined)) in self.subscriptions.drain() {
            unsubscribe::leave(app, outbound, &channel, &joined);
        }
        for id in &self.watchlist {
            app.users.unwatch(id, outbound);
        }
        if let Some(user) = &self.user {
            app.users.sign_out(user.user_id.as_str(), outbound);
        }
    }
}
