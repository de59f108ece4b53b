//! What a client may send.

use gema_protocol::error::ErrorEvent;
use gema_protocol::message::{ClientMessage, parse};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::json::is_object;

/// Only strict JSON is understood, as what it says, and what was understood can be said again.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse(&text) {
        Ok(message) => {
            assert!(is_object(&text), "no strict reader takes {text}");
            if let Ok(value) = serde_json::from_str(&text) {
                agrees(&message, &value);
            }
            survives(&message);
        }
        Err(error) => assert_eq!(error, ErrorEvent::invalid_message()),
    }
}

/// The message says what an ordinary JSON reader finds in the text.
fn agrees(message: &ClientMessage<'_>, value: &Value) {
    let data = match &value["data"] {
        Value::String(inner) => serde_json::from_str(inner).unwrap_or(Value::Null),
        data => data.clone(),
    };
    let event = value["event"].as_str().expect("an event has a name");
    match message {
        ClientMessage::Ping => assert_eq!(event, "pusher:ping"),
        ClientMessage::Pong => assert_eq!(event, "pusher:pong"),
        ClientMessage::Subscribe(asked) => {
            assert_eq!((event, data["channel"].as_str()), ("pusher:subscribe", Some(&*asked.channel)));
            assert_eq!(data["auth"].as_str(), asked.auth.as_deref());
            assert_eq!(data["channel_data"].as_str(), asked.channel_data.as_deref());
        }
        ClientMessage::Unsubscribe { channel } => {
            assert_eq!((event, data["channel"].as_str()), ("pusher:unsubscribe", Some(&**channel)));
        }
        ClientMessage::Signin { auth, user_data } => {
            assert_eq!(event, "pusher:signin");
            let given = (data["auth"].as_str(), data["user_data"].as_str());
            assert_eq!(given, (Some(&**auth), Some(&**user_data)));
        }
        ClientMessage::ClientEvent { event: name, channel, data } => {
            assert!(name.starts_with("client-") && !channel.is_empty());
            assert_eq!((event, value["channel"].as_str()), (&**name, Some(&**channel)));
            let parsed = data.map(|raw| serde_json::from_str::<Value>(raw.get()).expect("raw JSON is JSON"));
            assert_eq!(parsed.as_ref(), value.get("data"));
        }
        ClientMessage::Ignored => {
            let ours = ["pusher:", "pusher_internal:", "client-"];
            assert!(!ours.iter().any(|prefix| event.starts_with(prefix)), "{event} means something");
        }
    }
}

/// Said once more in the plainest form, it is the same message.
fn survives(message: &ClientMessage<'_>) {
    let said = match message {
        ClientMessage::Ping => json!({"event": "pusher:ping"}).to_string(),
        ClientMessage::Pong => json!({"event": "pusher:pong"}).to_string(),
        ClientMessage::Ignored => return,
        ClientMessage::Subscribe(asked) => {
            let (auth, channel_data) = (asked.auth.as_deref(), asked.channel_data.as_deref());
            let data = json!({"channel": asked.channel, "auth": auth, "channel_data": channel_data});
            json!({"event": "pusher:subscribe", "data": data}).to_string()
        }
        ClientMessage::Unsubscribe { channel } => {
            json!({"event": "pusher:unsubscribe", "data": {"channel": channel}}).to_string()
        }
        ClientMessage::Signin { auth, user_data } => {
            json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}}).to_string()
        }
        ClientMessage::ClientEvent { event, channel, data } => {
            let (event, channel) = (json!(event), json!(channel));
            let data = data.map_or_else(String::new, |raw: &RawValue| format!(r#","data":{raw}"#));
            format!(r#"{{"event":{event},"channel":{channel}{data}}}"#)
        }
    };
    let again = parse(&said).unwrap_or_else(|_| panic!("{said} is not understood"));
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
}
