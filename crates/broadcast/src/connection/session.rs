//! What a client's messages do. One session per connection; it holds the subscriptions and gives them back by `Drop`.

use std::collections::HashMap;
use std::sync::Arc;

use gema_protocol::channel::{ChannelKind, ChannelName};
use gema_protocol::error::ErrorEvent;
use gema_protocol::message::{ClientMessage, Subscribe};
use gema_protocol::signature::verify_channel;
use gema_protocol::{frame, message};
use serde_json::value::RawValue;

use crate::app::App;
use crate::channel::{Channel, Delivery, Joined};
use crate::config::ClientEvents;
use crate::outbound::Outbound;
use crate::registration::Registration;

/// A connection's dealings with its app.
pub(super) struct Session {
    registration: Registration,
    subscriptions: HashMap<ChannelName, (Arc<Channel>, Joined)>,
}

impl Session {
    pub(super) fn new(registration: Registration) -> Self {
        Self { registration, subscriptions: HashMap::new() }
    }

    pub(super) fn outbound(&self) -> &Arc<Outbound> {
        self.registration.outbound()
    }

    /// Handles one message. A client event's delivery comes back, for the connection to wait for.
    pub(super) fn on_text(&mut self, text: &str) -> Delivery {
        let handled = message::parse(text).and_then(|message| self.on_message(message));
        handled.unwrap_or_else(|error| {
            self.outbound().send(&frame::error(&error, None));
            Delivery::done()
        })
    }

    fn on_message(&mut self, message: ClientMessage<'_>) -> Result<Delivery, ErrorEvent> {
        match message {
            ClientMessage::Ping => self.outbound().send(&frame::pong()),
            ClientMessage::Pong | ClientMessage::Ignored => {}
            ClientMessage::Subscribe(request) => self.subscribe(&request)?,
            ClientMessage::Unsubscribe { channel } => self.unsubscribe(&channel),
            ClientMessage::Signin { .. } => return Err(ErrorEvent::invalid_message()),
            ClientMessage::ClientEvent { event, channel, data } => {
                return self.client_event(&event, &channel, data);
            }
        }
        Ok(Delivery::done())
    }

    fn subscribe(&mut self, request: &Subscribe<'_>) -> Result<(), ErrorEvent> {
        let limit = self.app().config.limits.channel_name;
        let name = ChannelName::parse(&request.channel, limit).map_err(ErrorEvent::invalid_channel)?;
        self.authorize(&name, request)?;
        let greeting = frame::subscription_succeeded(&name);
        if self.subscriptions.contains_key(&name) {
            self.outbound().send(&greeting);
            return Ok(());
        }
        let joined = self.app().channels.join(&name, self.outbound(), &greeting);
        self.subscriptions.insert(name, joined);
        Ok(())
    }

    fn authorize(&self, name: &ChannelName, request: &Subscribe<'_>) -> Result<(), ErrorEvent> {
        match name.kind() {
            ChannelKind::Public | ChannelKind::Cache => return Ok(()),
            // Open to a signed-in user alone, and there is no sign-in yet.
            ChannelKind::ServerToUser => return Err(ErrorEvent::unauthorized()),
            ChannelKind::Private
            | ChannelKind::PrivateEncrypted
            | ChannelKind::PrivateCache
            | ChannelKind::PrivateEncryptedCache
            | ChannelKind::Presence
            | ChannelKind::PresenceCache => {}
        }
        let auth = request.auth.as_deref().unwrap_or_default();
        let socket_id = self.outbound().id().to_string();
        let credentials = &self.app().config.credentials;
        verify_channel(credentials, &socket_id, name, request.channel_data.as_deref(), auth)
            .map_err(|_| ErrorEvent::unauthorized())
    }

    fn unsubscribe(&mut self, channel: &str) {
        if let Some((channel, joined)) = self.subscriptions.remove(channel) {
            self.app().channels.leave(&channel, &joined);
        }
    }

    fn client_event(
        &self,
        event: &str,
        channel: &str,
        data: Option<&RawValue>,
    ) -> Result<Delivery, ErrorEvent> {
        let config = &self.app().config;
        if config.client_events == ClientEvents::Nobody {
            return Err(ErrorEvent::client_events_off());
        }
        let Some((channel, _)) = self.subscriptions.get(channel) else {
            return Err(ErrorEvent::not_a_member());
        };
        if !channel.name().kind().accepts_client_events() {
            return Err(ErrorEvent::client_event_on_public_channel());
        }
        let frame = frame::client_event(event, channel.name(), data, None);
        Ok(channel.publish(frame, Some(self.outbound().id())))
    }

    fn app(&self) -> &Arc<App> {
        self.registration.app()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, (channel, joined)) in self.subscriptions.drain() {
            self.registration.app().channels.leave(&channel, &joined);
        }
    }
}
