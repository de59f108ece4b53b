//! What a client may say, read from one text message. What it may *do* is decided by the server.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::ErrorEvent;
use crate::json::{self, Object, Text};

/// How deep a client event's `data` may nest; PHP and with it Laravel Reverb stops at the same depth.
const DEEPEST: usize = 512;

/// One understood message.
#[derive(Debug)]
pub enum ClientMessage<'a> {
    /// `pusher:ping`: answer with [`crate::frame::pong`].
    Ping,
    /// `pusher:pong`: the answer to our ping.
    Pong,
    /// `pusher:subscribe`.
    Subscribe(Subscribe<'a>),
    /// `pusher:unsubscribe`: no reply, whether subscribed or not.
    Unsubscribe {
        /// Not checked beyond being a non-empty string.
        channel: Cow<'a, str>,
    },
    /// `pusher:signin`.
    Signin {
        /// `{key}:{hex}`, to be verified with [`crate::signature::verify_user`].
        auth: Cow<'a, str>,
        /// The JSON text that was signed.
        user_data: Cow<'a, str>,
    },
    /// An event that starts with `client-`, for the other subscribers of a channel.
    ClientEvent {
        /// Its name, prefix included.
        event: Cow<'a, str>,
        /// Not checked beyond being a non-empty string.
        channel: Cow<'a, str>,
        /// Any JSON value, as it came; `None` when the field was absent.
        data: Option<&'a RawValue>,
    },
    /// An event of no meaning to us; no reply.
    Ignored,
}

/// The content of a `pusher:subscribe`.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// A non-empty string, otherwise unchecked: see [`crate::channel::ChannelName::parse`].
    pub channel: Cow<'a, str>,
    /// `{key}:{hex}`; pusher-js sends an empty one on public channels, where it means nothing.
    pub auth: Option<Cow<'a, str>>,
    /// Who joins a presence channel: JSON text, signed as it stands.
    pub channel_data: Option<Cow<'a, str>>,
}

/// Reads one text message of a client.
///
/// # Errors
/// Invalid JSON, a missing field, a field of the wrong type, an unknown `pusher:` or any `pusher_internal:` event: the
/// error to send back (4200 `Invalid message format`). The connection stays open.
pub fn parse(text: &str) -> Result<ClientMessage<'_>, ErrorEvent> {
    let Object(Envelope { event, channel, data }) = read(text)?;
    let event = event.0;
    match event.as_ref() {
        "pusher:ping" => Ok(ClientMessage::Ping),
        "pusher:pong" => Ok(ClientMessage::Pong),
        "pusher:subscribe" => subscribe(data),
        "pusher:unsubscribe" => {
            Ok(ClientMessage::Unsubscribe { channel: required(protocol_data(data)?.channel)? })
        }
        "pusher:signin" => signin(data),
        name if name.starts_with("pusher:") || name.starts_with("pusher_internal:") => {
            Err(ErrorEvent::invalid_message())
        }
        name if name.starts_with("client-") => client_event(event, channel, data),
        _ => Ok(ClientMessage::Ignored),
    }
}

fn subscribe(data: Option<&RawValue>) -> Result<ClientMessage<'_>, ErrorEvent> {
    let data = protocol_data(data)?;
    Ok(ClientMessage::Subscribe(Subscribe {
        channel: required(data.channel)?,
        auth: data.auth.map(|text| text.0),
        channel_data: data.channel_data.map(|text| text.0),
    }))
}

fn signin(data: Option<&RawValue>) -> Result<ClientMessage<'_>, ErrorEvent> {
    let data = protocol_data(data)?;
    Ok(ClientMessage::Signin { auth: required(data.auth)?, user_data: required(data.user_data)? })
}

fn client_event<'a>(
    event: Cow<'a, str>,
    channel: Option<Text<'a>>,
    data: Option<&'a RawValue>,
) -> Result<ClientMessage<'a>, ErrorEvent> {
    if data.is_some_and(|data| json::depth(data.get()) > DEEPEST) {
        return Err(ErrorEvent::invalid_message());
    }
    Ok(ClientMessage::ClientEvent { event, channel: required(channel)?, data })
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::present")]
    data: Option<&'a RawValue>,
}

/// The `data` of all `pusher:` events in one; each takes the fields it needs.
#[derive(Deserialize)]
struct ProtocolData<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    auth: Option<Text<'a>>,
    #[serde(borrow)]
    channel_data: Option<Text<'a>>,
    #[serde(borrow)]
    user_data: Option<Text<'a>>,
}

impl ProtocolData<'_> {
    fn into_owned(self) -> ProtocolData<'static> {
        let own = |text: Option<Text<'_>>| text.map(|text| Text(Cow::Owned(text.0.into_owned())));
        ProtocolData {
            channel: own(self.channel),
            auth: own(self.auth),
            channel_data: own(self.channel_data),
            user_data: own(self.user_data),
        }
    }
}

/// Some clients send `data` as an object, some as a string that holds one.
fn protocol_data(data: Option<&RawValue>) -> Result<ProtocolData<'_>, ErrorEvent> {
    let json = data.ok_or_else(ErrorEvent::invalid_message)?.get();
    if json.starts_with('"') {
        let inner: String = read(json)?;
        Ok(read::<Object<ProtocolData<'_>>>(&inner)?.0.into_owned())
    } else {
        Ok(read::<Object<ProtocolData<'_>>>(json)?.0)
    }
}

fn required(text: Option<Text<'_>>) -> Result<Cow<'_, str>, ErrorEvent> {
    text.map(|text| text.0).filter(|text| !text.is_empty()).ok_or_else(ErrorEvent::invalid_message)
}

/// What exactly serde disliked is of no use to a browser, and would cost a formatted text per bad message.
fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ErrorEvent> {
    serde_json::from_str(json).map_err(|_| ErrorEvent::invalid_message())
}

#[cfg(test)]
mod tests;
