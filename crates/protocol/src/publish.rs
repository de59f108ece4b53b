//! The bodies of `POST /events` and `POST /batch_events`, and the older forms of both: what an app publishes. This is the
//! hot path: what needs no unescaping is borrowed from the body.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::channel::{ChannelName, ChannelNameError};
use crate::json::{Object, Text, complaint};
use crate::limits::Limits;
use crate::signature::Query;
use crate::socket_id::SocketId;

/// One event to publish; everything in it is within its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The event's name.
    pub name: Cow<'a, str>,
    /// Delivered exactly like this, as a string; may be empty.
    pub data: Cow<'a, str>,
    /// At least one, in the order given, each once.
    pub channels: Vec<ChannelName>,
    /// The connection that shall not get the event. Text that is no socket id counts as none.
    pub socket_id: Option<SocketId>,
    /// What the answer shall tell about the channels.
    pub info: Info,
}

/// Attributes asked for with `info=user_count,subscription_count,cache`; unknown names are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Info {
    /// Was there an `info` at all, even one that asks for nothing we know? The answer then has its long form.
    pub given: bool,
    /// Distinct users of a presence channel.
    pub user_count: bool,
    /// Sockets subscribed.
    pub subscription_count: bool,
    /// The last event of a cache channel.
    pub cache: bool,
}

impl Info {
    /// Reads the comma-separated list; `None` when there is none.
    #[must_use]
    pub fn parse(list: Option<&str>) -> Self {
        let asks = |attribute| list.is_some_and(|list| list.split(',').any(|name| name.trim() == attribute));
        Self {
            given: list.is_some(),
            user_count: asks("user_count"),
            subscription_count: asks("subscription_count"),
            cache: asks("cache"),
        }
    }
}

/// Why nothing was published. The text is for the developer of the publishing app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Not JSON, or a field of the wrong type; the text says where.
    #[error("the body is not a valid request: {0}")]
    Malformed(String),
    /// A required field is absent.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// Something has more bytes or characters than it may have.
    #[error("the {what} has a size of {actual}, {allowed} are allowed")]
    TooLarge {
        /// What it is: `data`, `request body`.
        what: &'static str,
        /// Bytes it has.
        actual: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// More channels, events or characters of a name than allowed.
    #[error("{actual} {what}, {allowed} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        actual: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// A channel's name breaks a rule.
    #[error("channel {name:?}: {error}")]
    Channel {
        /// The name, cut to a length that can be shown.
        name: String,
        /// The rule.
        error: ChannelNameError,
    },
    /// The names `pusher:…` and `pusher_internal:…` are the protocol's own.
    #[error("event names that begin with pusher: or pusher_internal: are reserved")]
    ReservedName,
    /// One event of a batch is refused, and with it the whole batch.
    #[error("event {index} of the batch: {error}")]
    InBatch {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<PublishError>,
    },
}

impl PublishError {
    /// The HTTP status of the answer: 413 for sizes in bytes, 400 for everything else.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::InBatch { error, .. } => error.status(),
            Self::Malformed(_)
            | Self::Missing(_)
            | Self::TooMany { .. }
            | Self::Channel { .. }
            | Self::ReservedName => 400,
        }
    }
}

/// Reads the body of `POST /events`.
///
/// # Errors
/// The first rule that is broken; see [`PublishError`].
pub fn parse_event<'a>(body: &'a [u8], limits: &Limits) -> Result<Publish<'a>, PublishError> {
    let Object(event) = read(body, limits)?;
    check(event, limits)
}

/// Reads the body of `POST /batch_events`. All events are checked before any is returned: a batch is published whole or
/// not at all.
///
/// # Errors
/// The first rule that is broken; see [`PublishError`].
pub fn parse_batch<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<Publish<'a>>, PublishError> {
    let Object(Batch { batch }) = read(body, limits)?;
    let events = batch.ok_or(PublishError::Missing("batch"))?;
    if let Some(allowed) = limits.batch.filter(|allowed| events.len() > *allowed) {
        return Err(PublishError::TooMany { what: "events in a batch", actual: events.len(), allowed });
    }
    let one = |(index, Object(event))| {
        check(event, limits).map_err(|error| PublishError::InBatch { index, error: Box::new(error) })
    };
    events.into_iter().enumerate().map(one).collect()
}

/// Reads an event from the query of a `POST /events` without a body. `channels` is a list with commas, as an array of
/// parameters becomes when it is signed, so a name that holds a comma fits only into `channel`.
///
/// # Errors
/// The first rule that is broken; see [`PublishError`].
pub fn event_in_query<'a>(query: &'a Query<'_>, limits: &Limits) -> Result<Publish<'a>, PublishError> {
    let text = |name| query.get(name).map(|value| Text(Cow::Borrowed(value)));
    let channels = query.get("channels");
    let event = Event {
        name: text("name"),
        data: text("data"),
        channels: channels.map(|list| list.split(',').map(|name| Text(Cow::Borrowed(name))).collect()),
        channel: text("channel"),
        socket_id: text("socket_id"),
        info: text("info"),
    };
    check(event, limits)
}

/// Reads the event of the deprecated `POST /channels/{channel}/events?name=&socket_id=`, whose body is the data.
///
/// # Errors
/// The first rule that is broken; see [`PublishError`].
pub fn event_for_channel<'a>(
    channel: &'a str,
    query: &'a Query<'_>,
    body: &'a [u8],
    limits: &Limits,
) -> Result<Publish<'a>, PublishError> {
    let text = |name| query.get(name).map(|value| Text(Cow::Borrowed(value)));
    let data = std::str::from_utf8(body).map_err(|error| PublishError::Malformed(error.to_string()))?;
    let event = Event {
        name: text("name"),
        data: Some(Text(Cow::Borrowed(data))),
        channels: None,
        channel: Some(Text(Cow::Borrowed(channel))),
        socket_id: text("socket_id"),
        info: None,
    };
    check(event, limits)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], limits: &Limits) -> Result<T, PublishError> {
    if body.len() > limits.request_body {
        let (actual, allowed) = (body.len(), limits.request_body);
        return Err(PublishError::TooLarge { what: "request body", actual, allowed });
    }
    // All of it, also what is skipped: serde looks only at the strings that it returns.
    let text = std::str::from_utf8(body).map_err(|error| PublishError::Malformed(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| PublishError::Malformed(complaint(&error)))
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    batch: Option<Vec<Object<Event<'a>>>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, deserialize_with = "name")]
    name: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "data")]
    data: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "channels")]
    channels: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "channel")]
    channel: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "socket_id")]
    socket_id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "info")]
    info: Option<Text<'a>>,
}

/// A reader for each field that puts the field's name before serde's complaint.
macro_rules! named_readers {
    ($($field:ident: $type:ty),*) => {$(
        fn $field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$type>, D::Error> {
            let name = |error| D::Error::custom(format_args!("{}: {error}", stringify!($field)));
            Deserialize::deserialize(deserializer).map_err(name)
        }
    )*};
}
named_readers! {
    name: Text<'de>, data: Text<'de>, channels: Vec<Text<'de>>, channel: Text<'de>, socket_id: Text<'de>, info: Text<'de>
}

fn check<'a>(event: Event<'a>, limits: &Limits) -> Result<Publish<'a>, PublishError> {
    let name = event.name.ok_or(PublishError::Missing("name"))?.0;
    check_name(&name, limits)?;
    let data = event.data.ok_or(PublishError::Missing("data"))?.0;
    if data.len() > limits.event_data {
        let (actual, allowed) = (data.len(), limits.event_data);
        return Err(PublishError::TooLarge { what: "data", actual, allowed });
    }
    let channels = match (event.channels, event.channel) {
        (Some(channels), _) => channels,
        (None, Some(channel)) => vec![channel],
        (None, None) => return Err(PublishError::Missing("channels")),
    };
    Ok(Publish {
        name,
        data,
        channels: check_channels(&channels, limits)?,
        socket_id: event.socket_id.and_then(|text| text.0.parse().ok()),
        info: Info::parse(event.info.as_ref().map(|text| text.0.as_ref())),
    })
}

fn check_name(name: &str, limits: &Limits) -> Result<(), PublishError> {
    if name.is_empty() {
        return Err(PublishError::Missing("name"));
    }
    if name.starts_with("pusher:") || name.starts_with("pusher_internal:") {
        return Err(PublishError::ReservedName);
    }
    let (actual, allowed) = (name.chars().count(), limits.event_name);
    if actual > allowed {
        return Err(PublishError::TooMany { what: "characters in the event name", actual, allowed });
    }
    Ok(())
}

fn check_channels(names: &[Text<'_>], limits: &Limits) -> Result<Vec<ChannelName>, PublishError> {
    if names.is_empty() {
        return Err(PublishError::Missing("channels"));
    }
    let (actual, allowed) = (names.len(), limits.channels_per_event);
    if actual > allowed {
        return Err(PublishError::TooMany { what: "channels", actual, allowed });
    }
    let mut channels: Vec<ChannelName> = Vec::with_capacity(names.len());
    for Text(name) in names {
        let channel = ChannelName::parse(name, limits.channel_name).map_err(|error| {
            let name = name.chars().take(200).collect();
            PublishError::Channel { name, error }
        })?;
        // At most `channels_per_event` of them: a set would cost more than it saves.
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

#[cfg(test)]
mod tests;
