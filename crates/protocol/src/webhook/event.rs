//! The bytes: one event as JSON, and the body of a request around several.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Kind;
use crate::channel::ChannelName;
use crate::presence::UserId;
use crate::socket_id::SocketId;

/// What queues need for an event beside itself, about.
const PLACE: usize = 64;

/// One event, encoded once for all endpoints. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    kind: Kind,
    channel: ChannelName,
    json: Arc<str>,
    ticket: u64,
}

/// What a client sent, for [`Event::client_event`].
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Its name, `client-` included.
    pub event: &'a str,
    /// Its data as received.
    pub data: Option<&'a RawValue>,
    /// Who sent it.
    pub socket_id: SocketId,
    /// The sender's id in a presence channel.
    pub user_id: Option<&'a str>,
}

/// The fields of all kinds, in the order of the wire.
#[derive(Serialize)]
struct Fields<'a> {
    name: &'static str,
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<usize>,
}

impl<'a> Fields<'a> {
    fn new(kind: Kind, channel: &'a str) -> Self {
        let name = kind.name();
        Self {
            name,
            channel,
            event: None,
            data: None,
            socket_id: None,
            user_id: None,
            subscription_count: None,
        }
    }
}

impl Event {
    /// An event that says no more than its kind and channel.
    #[must_use]
    pub fn of(kind: Kind, channel: &ChannelName) -> Self {
        Self::encode(kind, channel, &Fields::new(kind, channel))
    }

    /// An event about a member. The id is a text here, whatever its type in the channel.
    #[must_use]
    pub fn of_member(kind: Kind, channel: &ChannelName, user: &UserId) -> Self {
        Self::encode(kind, channel, &Fields { user_id: Some(user.as_str()), ..Fields::new(kind, channel) })
    }

    /// The number of subscribers.
    #[must_use]
    pub fn subscription_count(channel: &ChannelName, count: usize) -> Self {
        let kind = Kind::SubscriptionCount;
        Self::encode(kind, channel, &Fields { subscription_count: Some(count), ..Fields::new(kind, channel) })
    }

    /// A client event. `data` is a text: as received if it was one, else the JSON as it stood.
    #[must_use]
    pub fn client_event(channel: &ChannelName, sent: &Sent<'_>) -> Self {
        let kind = Kind::ClientEvent;
        let (data, socket_id) = (sent.data.map(as_text), sent.socket_id.to_string());
        let fields = Fields {
            event: Some(sent.event),
            data: data.as_deref(),
            socket_id: Some(&socket_id),
            user_id: sent.user_id,
            ..Fields::new(kind, channel)
        };
        Self::encode(kind, channel, &fields)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose it is; events of one channel stay in order.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The same event, known by a number to whoever keeps a copy of it elsewhere.
    #[must_use]
    pub fn with_ticket(self, ticket: u64) -> Self {
        Self { ticket, ..self }
    }

    /// What [`Event::with_ticket`] was given; 0 when nobody keeps a copy.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Bytes it takes in memory and in queues, about.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + PLACE + self.json.len()
    }

    fn encode(kind: Kind, channel: &ChannelName, fields: &Fields<'_>) -> Self {
        let json = serde_json::to_string(fields).expect("strings and numbers can be written to memory");
        Self { kind, channel: channel.clone(), json: json.into(), ticket: 0 }
    }
}

/// A string's content, or the JSON itself. A string that is no Unicode (`"\ud800"`) counts as JSON, too: one client must
/// not make a whole body unreadable to back ends that refuse such a thing.
fn as_text(data: &RawValue) -> Cow<'_, str> {
    let json = data.get();
    let text = if json.starts_with('"') { serde_json::from_str(json).ok() } else { None };
    text.map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The body of one request. `time_ms`: when it is made, in milliseconds since the epoch; a retry repeats the bytes.
#[must_use]
pub fn body(time_ms: u64, events: &[Event]) -> String {
    let size: usize = events.iter().map(|event| event.json.len() + 1).sum();
    let mut body = String::with_capacity(size + 48);
    // Writing to a String cannot fail.
    let _ = write!(body, r#"{{"time_ms":{time_ms},"events":["#);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&event.json);
    }
    body.push_str("]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    fn client_event(data: Option<&str>, user_id: Option<&str>) -> String {
        let data = data.map(|json| serde_json::from_str::<&RawValue>(json).unwrap());
        let socket_id = "1234.1234".parse().unwrap();
        let sent = Sent { event: "client-typing", data, socket_id, user_id };
        body(7, &[Event::client_event(&channel("presence-foobar"), &sent)])
    }

    #[test]
    fn data_of_a_client_event_is_always_a_text() {
        for (received, expected) in [
            (r#""{\"x\":1}""#, r#""{\"x\":1}""#),
            (r#"{"x":1}"#, r#""{\"x\":1}""#),
            (r#"{ "x" : 1.50 }"#, r#""{ \"x\" : 1.50 }""#),
            (r#""h\u00e9 é""#, r#""hé é""#),
            ("null", r#""null""#),
            ("[]", r#""[]""#),
            ("7", r#""7""#),
            (r#""\ud800""#, r#""\"\\ud800\"""#),
        ] {
            let body = client_event(Some(received), None);
            let expected = format!(
                r#"{{"time_ms":7,"events":[{{"name":"client_event","channel":"presence-foobar","event":"client-typing","data":{expected},"socket_id":"1234.1234"}}]}}"#
            );
            assert_eq!(body, expected, "{received}");
        }
    }

    #[test]
    fn what_a_client_event_lacks_is_left_out() {
        let body = client_event(None, Some("a\"b"));
        assert!(
            body.contains(r#""event":"client-typing","socket_id":"1234.1234","user_id":"a\"b"}"#),
            "{body}"
        );
    }

    #[test]
    fn a_numeric_user_id_is_a_text() {
        let limits = crate::limits::Limits::of(crate::limits::Profile::Reverb);
        let member = crate::presence::Member::parse(r#"{"user_id":10}"#, &limits).unwrap();
        let event = Event::of_member(Kind::MemberAdded, &channel("presence-a"), &member.user_id);
        assert_eq!(&*event.json, r#"{"name":"member_added","channel":"presence-a","user_id":"10"}"#);
    }
}
