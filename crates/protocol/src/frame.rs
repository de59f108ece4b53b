//! What the server says, as complete unmasked WebSocket frames: header and payload in one buffer, made once and shared.
//!
//! What clients say is in [`crate::message`]. Nothing here fails: names and data were checked before, and are escaped
//! again all the same.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::close::CloseCode;
use crate::error::{ErrorCode, ErrorEvent};
use crate::socket_id::SocketId;

/// The longest header of an unmasked frame: two bytes and a 64-bit length.
const HEADER: usize = 10;

#[derive(Clone, Copy)]
enum Opcode {
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A text frame around a payload that is complete already.
#[must_use]
pub fn text(payload: &[u8]) -> Bytes {
    from_payload(Opcode::Text, payload)
}

/// The close frame of a reason.
#[must_use]
pub fn close(code: CloseCode) -> Bytes {
    let payload = [&code.code().to_be_bytes(), code.reason().as_bytes()].concat();
    from_payload(Opcode::Close, &payload)
}

/// The answer to a client's own close frame: the same code, or none where it gave none.
#[must_use]
pub fn close_reply(code: Option<u16>) -> Bytes {
    let code = code.map(u16::to_be_bytes);
    from_payload(Opcode::Close, code.as_ref().map_or(&[][..], |code| &code[..]))
}

/// A ping control frame. A control frame holds 125 bytes; what is longer is cut.
#[must_use]
pub fn control_ping(payload: &[u8]) -> Bytes {
    from_payload(Opcode::Ping, cut(payload))
}

/// A pong control frame with the payload of the ping it answers. Cut like [`control_ping`].
#[must_use]
pub fn control_pong(payload: &[u8]) -> Bytes {
    from_payload(Opcode::Pong, cut(payload))
}

/// The first frame of every accepted connection; pusher-js hangs if another one precedes it or the timeout is 0.
#[must_use]
pub fn connection_established(socket_id: SocketId, activity_timeout_s: u32) -> Bytes {
    let data = format!(r#"{{"socket_id":"{socket_id}","activity_timeout":{activity_timeout_s}}}"#);
    event_without_channel("pusher:connection_established", &data)
}

/// `pusher:ping`, answered by pusher-js itself, which proves that the page's JavaScript runs.
#[must_use]
pub fn ping() -> Bytes {
    event_without_channel("pusher:ping", "{}")
}

/// `pusher:pong`, the answer to a client's `pusher:ping`.
#[must_use]
pub fn pong() -> Bytes {
    event_without_channel("pusher:pong", "{}")
}

/// Confirms a subscription; no event of the channel may go out before it.
#[must_use]
pub fn subscription_succeeded(channel: &str) -> Bytes {
    event("pusher_internal:subscription_succeeded", channel, "{}")
}

/// How many sockets a channel has, for all of them.
#[must_use]
pub fn subscription_count(channel: &str, count: usize) -> Bytes {
    event("pusher_internal:subscription_count", channel, &format!(r#"{{"subscription_count":{count}}}"#))
}

/// A `pusher:error`, with the channel it concerns at the top level if there is one.
#[must_use]
pub fn error(error: &ErrorEvent, channel: Option<&str>) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        code: u16,
        message: &'a str,
    }
    let data = json(&Data { code: error.code.code(), message: &error.message });
    encode(&Envelope { event: "pusher:error", channel, data: Some(data.as_str()), user_id: None }, data.len())
}

/// `pusher:subscription_error` in the form of soketi, which pusher-js hands to whoever listens on the channel.
#[must_use]
pub fn subscription_error(channel: &str, error: &ErrorEvent) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        r#type: &'static str,
        error: &'a str,
        status: u16,
    }
    let (r#type, status) = match error.code {
        ErrorCode::Unauthorized => ("AuthError", 401),
        code => ("LimitReached", code.code()),
    };
    event("pusher:subscription_error", channel, &json(&Data { r#type, error: &error.message, status }))
}

/// A channel event as published: `data` goes out as the JSON string it came as, whatever is in it.
#[must_use]
pub fn event(name: &str, channel: &str, data: &str) -> Bytes {
    let size = escaped_len(name) + escaped_len(channel) + escaped_len(data);
    encode(&Envelope { event: name, channel: Some(channel), data: Some(data), user_id: None }, size)
}

/// A client event for the other subscribers: `data` is passed on byte for byte, or left out if there was none.
/// `user_id` is the sender's presence id as signed by the app, on presence channels only.
#[must_use]
pub fn client_event(name: &str, channel: &str, data: Option<&RawValue>, user_id: Option<&str>) -> Bytes {
    let size = escaped_len(name)
        + escaped_len(channel)
        + data.map_or(0, |data| data.get().len())
        + user_id.map_or(0, escaped_len);
    encode(&Envelope { event: name, channel: Some(channel), data, user_id }, size)
}

pub(crate) fn event_without_channel(name: &str, data: &str) -> Bytes {
    encode(
        &Envelope { event: name, channel: None, data: Some(data), user_id: None },
        name.len() + escaped_len(data),
    )
}

/// Tells a new subscriber of a cache channel that there is no last event.
#[must_use]
pub fn cache_miss(channel: &str) -> Bytes {
    let envelope =
        Envelope::<&str> { event: "pusher:cache_miss", channel: Some(channel), data: None, user_id: None };
    encode(&envelope, envelope.event.len() + escaped_len(channel))
}

/// The order of these fields is the order on the wire.
#[derive(Serialize)]
struct Envelope<'a, D> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

/// Names of all four fields with their quotes, colons and commas, and the braces.
const ENVELOPE: usize = r#"{"event":"","channel":"","data":"","user_id":""}"#.len();

/// Writes header and payload into one buffer. `size` is what the values need; too small a guess costs a reallocation.
fn encode<D: Serialize>(envelope: &Envelope<'_, D>, size: usize) -> Bytes {
    let mut buffer = Vec::with_capacity(HEADER + ENVELOPE + size);
    buffer.resize(HEADER, 0);
    serde_json::to_writer(&mut buffer, envelope).expect("strings and raw JSON can be written to memory");
    finish(Opcode::Text, buffer)
}

fn from_payload(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut buffer = Vec::with_capacity(HEADER + payload.len());
    buffer.resize(HEADER, 0);
    buffer.extend_from_slice(payload);
    finish(opcode, buffer)
}

/// Puts the header right before the payload, which begins at `HEADER`; its length is known only now.
fn finish(opcode: Opcode, mut buffer: Vec<u8>) -> Bytes {
    let length = buffer.len() - HEADER;
    let mut header = [0; HEADER];
    header[0] = 0x80 | opcode as u8;
    let used = if let Ok(short @ 0..126) = u8::try_from(length) {
        header[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(length) {
        header[1] = 126;
        header[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        header[1] = 127;
        header[2..].copy_from_slice(&(length as u64).to_be_bytes());
        HEADER
    };
    let start = HEADER - used;
    buffer[start..HEADER].copy_from_slice(&header[..used]);
    Bytes::from(buffer).slice(start..)
}

fn cut(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(125)]
}

/// The payload of a frame that this module made, without copying it.
#[must_use]
pub fn payload(frame: &Bytes) -> Bytes {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => HEADER,
        _ => 2,
    };
    frame.slice(header.min(frame.len())..)
}

/// The `data` of an event's frame; empty if it has none that is text.
#[must_use]
pub fn data_of(frame: &Bytes) -> String {
    #[derive(serde::Deserialize)]
    struct Data {
        data: String,
    }
    serde_json::from_slice(&payload(frame)).map_or_else(|_| String::new(), |Data { data }| data)
}

/// Any value of ours as JSON text.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs of strings, numbers and raw JSON can be written to memory")
}

/// Bytes of `text` inside a JSON string.
fn escaped_len(text: &str) -> usize {
    let extra = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
        0..32 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(extra).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits a frame as a client does; panics when header and payload disagree.
    fn decode(frame: &[u8]) -> (u8, &[u8]) {
        assert_eq!(frame[0] & 0xF0, 0x80, "FIN, no extension");
        let (length, payload) = match frame[1] {
            126 => (usize::from(u16::from_be_bytes([frame[2], frame[3]])), &frame[4..]),
            127 => {
                (usize::try_from(u64::from_be_bytes(frame[2..10].try_into().unwrap())).unwrap(), &frame[10..])
            }
            short => (usize::from(short), &frame[2..]),
        };
        assert_eq!(length, payload.len());
        let shortest = match length {
            0..126 => 2,
            126..65536 => 4,
            _ => 10,
        };
        assert_eq!(frame.len() - length, shortest, "the length is written in the shortest form");
        (frame[0] & 15, payload)
    }

    fn text_of(frame: &Bytes) -> &str {
        let (opcode, payload) = decode(frame);
        assert_eq!(opcode, 1);
        std::str::from_utf8(payload).unwrap()
    }

    #[test]
    fn frames_read_exactly_like_the_specification() {
        let id: SocketId = "123456.7890".parse().unwrap();
        let raw: &RawValue = serde_json::from_str("{\"a\": [1.0, \"\\u00e9\"]}").unwrap();
        let table = [
            (
                connection_established(id, 120),
                r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"123456.7890\",\"activity_timeout\":120}"}"#,
            ),
            (ping(), r#"{"event":"pusher:ping","data":"{}"}"#),
            (pong(), r#"{"event":"pusher:pong","data":"{}"}"#),
            (
                subscription_succeeded("my-channel"),
                r#"{"event":"pusher_internal:subscription_succeeded","channel":"my-channel","data":"{}"}"#,
            ),
            (
                error(&ErrorEvent::closing(CloseCode::UnknownApp), None),
                r#"{"event":"pusher:error","data":"{\"code\":4001,\"message\":\"Application does not exist\"}"}"#,
            ),
            (
                error(&ErrorEvent::unauthorized(), Some("private-a")),
                r#"{"event":"pusher:error","channel":"private-a","data":"{\"code\":4009,\"message\":\"Connection is unauthorized\"}"}"#,
            ),
            (
                event(r"App\Events\X", "c", "{\"n\":1}"),
                r#"{"event":"App\\Events\\X","channel":"c","data":"{\"n\":1}"}"#,
            ),
            (event("e", "c", ""), r#"{"event":"e","channel":"c","data":""}"#),
            (
                client_event("client-t", "private-a", Some(raw), None),
                r#"{"event":"client-t","channel":"private-a","data":{"a": [1.0, "\u00e9"]}}"#,
            ),
            (
                client_event("client-t", "presence-a", None, Some("10")),
                r#"{"event":"client-t","channel":"presence-a","user_id":"10"}"#,
            ),
            (
                subscription_count("c", 7),
                r#"{"event":"pusher_internal:subscription_count","channel":"c","data":"{\"subscription_count\":7}"}"#,
            ),
            (cache_miss("cache-x"), r#"{"event":"pusher:cache_miss","channel":"cache-x"}"#),
        ];
        for (frame, expected) in table {
            assert_eq!(text_of(&frame), expected);
        }
    }

    #[test]
    fn control_frames_hold_at_most_125_bytes() {
        assert_eq!(decode(&control_ping(b"hi")), (9, b"hi".as_slice()));
        assert_eq!(decode(&control_pong(&[7; 300])), (10, [7; 125].as_slice()));
        for &code in CloseCode::ALL {
            let frame = close(code);
            let (opcode, payload) = decode(&frame);
            assert_eq!((opcode, &payload[..2]), (8, code.code().to_be_bytes().as_slice()));
            assert_eq!(&payload[2..], code.reason().as_bytes());
            assert!(payload.len() <= 125);
        }
    }

    #[test]
    fn lengths_are_right_on_both_sides_of_each_border() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            assert_eq!(decode(&text(&payload)), (1, payload.as_slice()));
        }
    }

    #[test]
    fn the_size_of_an_event_is_known_before_it_is_written() {
        let awkward: String = (0..128).map(char::from).chain("\u{7f}é😀".chars()).collect();
        assert_eq!(escaped_len(&awkward) + 2, serde_json::to_string(&awkward).unwrap().len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_published_arrives(name in ".*", channel in ".*", data in "(.|\\PC|[\"\\\\\n\0]){0,200}") {
            let frame = event(&name, &channel, &data);
            let value: serde_json::Value = serde_json::from_str(text_of(&frame)).unwrap();
            prop_assert_eq!(&value["event"], &name);
            prop_assert_eq!(&value["channel"], &channel);
            prop_assert_eq!(&value["data"], &data);
            prop_assert_eq!(data_of(&frame), data);
        }

        #[test]
        fn any_payload_decodes_back(payload in proptest::collection::vec(any::<u8>(), 0..200), times in 1_usize..500) {
            let payload = payload.repeat(times);
            let (whole, short) = (text(&payload), control_pong(&payload));
            prop_assert_eq!(decode(&whole), (1, payload.as_slice()));
            prop_assert_eq!(super::payload(&whole), payload.as_slice());
            prop_assert_eq!(decode(&short), (10, &payload[..payload.len().min(125)]));
        }
    }
}
