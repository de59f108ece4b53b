//! Runs `vectors.json`: what the official SDKs sign, send and refuse, and what the real clients send.
//!
//! Every entry is either run here or named in [`ELSEWHERE`] with the reason. How pusher-js and laravel-echo *react* is
//! tested with the real clients, not here.

#![expect(clippy::unwrap_used, reason = "a vector of another shape than expected shall fail the test")]

use std::collections::BTreeMap;

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::channel::ChannelName;
use gema_protocol::limits::{Limits, Profile};
use gema_protocol::message::{self, ClientMessage};
use gema_protocol::presence::UserId;
use gema_protocol::publish::{parse_batch, parse_event};
use gema_protocol::signature::{self, RequestParts};
use gema_protocol::signin::UserData;
use gema_protocol::socket_id::SocketId;
use gema_protocol::webhook::event::{Event, Sent};
use gema_protocol::webhook::{self, Kind};
use serde_json::Value;

/// Entries that cannot concern a server.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "encryption.payload_fixed_nonce",
        "NaCl boxes are made by SDKs and opened by clients; the server passes them on",
    ),
    ("encryption.py.payload_fixed_nonce", "as above"),
    ("encryption.tampered", "as above"),
];

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn app(vectors: &Value) -> Credentials {
    let text = |name: &str| text(&vectors["app"], name).to_owned();
    Credentials { id: text("app_id"), key: text("key"), secret: Secret::new(text("secret")) }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {value}"))
}

/// Looks a header up whatever its case.
fn header<'a>(request: &'a Value, name: &str) -> &'a str {
    let headers = request["headers"].as_object().unwrap();
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1.as_str().unwrap()
}

#[test]
fn every_vector_holds() {
    let vectors = vectors();
    let app = app(&vectors);
    let mut ran = BTreeMap::<&str, usize>::new();
    let mut skipped = Vec::new();
    for entry in vectors["vectors"].as_array().unwrap() {
        let (id, kind) = (text(entry, "id"), text(entry, "kind"));
        let valid = entry["valid"].as_bool().unwrap();
        if ELSEWHERE.iter().any(|(known, _)| *known == id) {
            skipped.push(id);
            continue;
        }
        *ran.entry(kind).or_default() += 1;
        let accepted = match kind {
            "channel_auth" => channel_auth(&app, entry),
            "user_auth" => user_auth(&app, entry),
            "channel_auth_verify" => channel_auth_verify(&app, entry),
            "http_request" => http_request(&app, entry, entry["auth_timestamp"].as_u64().unwrap()),
            "http_request_verify" => http_request(&app, entry, entry["server_time"].as_u64().unwrap()),
            "webhook" => webhook(&app, entry, vectors["fixed_time"].as_u64().unwrap()),
            "encryption" => shared_secret(entry),
            "sdk_rejects" => !rejected(id, entry),
            unknown => panic!("{id}: nobody runs vectors of the kind {unknown}"),
        };
        assert_eq!(accepted, valid, "{id}");
    }
    let expected = [
        ("channel_auth", 18),
        ("channel_auth_verify", 17),
        ("encryption", 2),
        ("http_request", 28),
        ("http_request_verify", 16),
        ("sdk_rejects", 12),
        ("user_auth", 5),
        ("webhook", 17),
    ];
    assert_eq!(ran.into_iter().collect::<Vec<_>>(), expected);
    let mut known = ELSEWHERE.map(|(id, _)| id);
    known.sort_unstable();
    skipped.sort_unstable();
    assert_eq!(skipped, known, "each exception is a vector");
}

fn channel_auth(app: &Credentials, entry: &Value) -> bool {
    let (input, expected) = (&entry["input"], &entry["expected"]);
    let (socket, channel) = (text(input, "socket_id"), text(input, "channel"));
    let data = expected["channel_data"].as_str().or(input["channel_data"].as_str());
    if let Some(secret) = expected["shared_secret"].as_str() {
        assert_eq!(base64(&signature::shared_secret(channel, &MASTER_KEY)), secret);
    }
    let auth = text(expected, "auth");
    assert_eq!(signature::sign_channel(app, socket, channel, data), auth, "{entry}");
    signature::verify_channel(app, socket, channel, data, auth).is_ok()
}

fn user_auth(app: &Credentials, entry: &Value) -> bool {
    let (socket, expected) = (text(&entry["input"], "socket_id"), &entry["expected"]);
    let (auth, data) = (text(expected, "auth"), text(expected, "user_data"));
    assert_eq!(signature::sign_user(app, socket, data), auth, "{entry}");
    UserData::parse(data, &Limits::of(Profile::Pusher)).is_ok()
        && signature::verify_user(app, socket, data, auth).is_ok()
}

/// Goes the whole way of the server: the client's message is read, then verified, then its user is read.
fn channel_auth_verify(app: &Credentials, entry: &Value) -> bool {
    let socket = text(entry, "socket_id");
    let event = if entry["signin"].is_object() { "signin" } else { "subscribe" };
    let sent = serde_json::json!({"event": format!("pusher:{event}"), "data": entry[event]}).to_string();
    match message::parse(&sent).unwrap() {
        ClientMessage::Subscribe(s) => {
            let auth = s.auth.unwrap_or_default();
            signature::verify_channel(app, socket, &s.channel, s.channel_data.as_deref(), &auth).is_ok()
        }
        ClientMessage::Signin { auth, user_data } => {
            signature::verify_user(app, socket, &user_data, &auth).is_ok()
                && UserData::parse(&user_data, &Limits::of(Profile::Pusher)).is_ok()
        }
        other => panic!("{sent} was read as {other:?}"),
    }
}

/// Verifies a request, and reads what it publishes. Where we sign the same request, it must become the same signature.
fn http_request(app: &Credentials, entry: &Value, now: u64) -> bool {
    let request = &entry["request"];
    let (path, query) = match request["request_target"].as_str() {
        Some(target) => {
            let (path, query) = target.split_once('?').unwrap();
            (path, query.to_owned())
        }
        None if request["query"].is_object() => (text(request, "path"), encoded(&request["query"])),
        None => {
            // Only what is signed is given, as in the printed documentation.
            let signed = text(entry, "string_to_sign").rsplit('\n').next().unwrap();
            (text(request, "path"), format!("{signed}&auth_signature={}", text(entry, "signature")))
        }
    };
    let path = path.strip_prefix(entry["server_path_prefix"].as_str().unwrap_or("")).unwrap();
    let (method, body) = (text(request, "method"), text(request, "body"));
    let parts = RequestParts { method, path, query: &query, body: body.as_bytes() };
    let accepted = signature::verify_request(app, &parts, now, 600).is_ok();
    if accepted {
        published(path, body);
        signed_alike(app, &parts);
    }
    accepted
}

fn published(path: &str, body: &str) {
    let limits = Limits::of(Profile::Pusher);
    if path.ends_with("/events") {
        parse_event(body.as_bytes(), &limits).unwrap();
    } else if path.ends_with("/batch_events") {
        assert!(!parse_batch(body.as_bytes(), &limits).unwrap().is_empty());
    }
}

fn signed_alike(app: &Credentials, request: &RequestParts<'_>) {
    let theirs = signature::Query::parse(request.query);
    let digest_of_nothing = request.body.is_empty() && theirs.get("body_md5").is_some();
    let extra: Vec<_> = theirs
        .iter()
        .filter(|(name, _)| !name.starts_with("auth_") && (digest_of_nothing || *name != "body_md5"))
        .collect();
    let time = theirs.get("auth_timestamp").unwrap().parse().unwrap();
    let ours = signature::sign_request(app, request.method, request.path, &extra, request.body, time);
    assert_eq!(signature::Query::parse(&ours), theirs);
}

/// A query string of decoded parameters, everything escaped.
fn encoded(query: &Value) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let params = query.as_object().unwrap().iter();
    params
        .map(|(name, value)| format!("{name}={}", escape(value.as_str().unwrap())))
        .collect::<Vec<_>>()
        .join("&")
}

/// Would the SDK take what we send? Where its body is ours, we must write the same bytes. It also refuses what is of
/// another type than we send, and (Python only) what is older than the time for which we try.
fn webhook(app: &Credentials, entry: &Value, now: u64) -> bool {
    let request = &entry["request"];
    let (body, theirs) = (text(request, "body"), header(request, "X-Pusher-Signature"));
    let same = signature::sign_webhook(&app.secret, body.as_bytes()) == theirs;
    assert_eq!(signature::verify_webhook(&app.secret, body.as_bytes(), theirs), same);
    let content: Value = serde_json::from_str(body).unwrap();
    let events: Vec<_> = content["events"].as_array().unwrap().iter().map(webhook_event).collect();
    let time_ms = content["time_ms"].as_u64().unwrap();
    assert_eq!(webhook::event::body(time_ms, &events), body.trim_end(), "{entry}");
    let also = if text(entry, "id").starts_with("webhook.py.") {
        now - time_ms / 1000 <= webhook::retry::GIVE_UP.as_secs()
    } else {
        header(request, "Content-Type") == webhook::CONTENT_TYPE
    };
    same && header(request, "X-Pusher-Key") == app.key && also
}

/// The same event as our server makes it.
fn webhook_event(event: &Value) -> Event {
    let channel = ChannelName::parse(text(event, "channel"), 200).unwrap();
    match Kind::parse(text(event, "name")).unwrap() {
        Kind::ClientEvent => {
            let data = serde_json::value::to_raw_value(&event["data"]).unwrap();
            let sent = Sent {
                event: text(event, "event"),
                data: Some(&data),
                socket_id: text(event, "socket_id").parse().unwrap(),
                user_id: event["user_id"].as_str(),
            };
            Event::client_event(&channel, &sent)
        }
        Kind::SubscriptionCount => {
            let count = event["subscription_count"].as_u64().unwrap();
            Event::subscription_count(&channel, count.try_into().unwrap())
        }
        kind @ (Kind::MemberAdded | Kind::MemberRemoved) => {
            Event::of_member(kind, &channel, &UserId::from_text(text(event, "user_id")))
        }
        kind @ (Kind::ChannelOccupied | Kind::ChannelVacated | Kind::CacheMiss) => Event::of(kind, &channel),
    }
}

/// The bytes of the vectors' `encryption_master_key_base64`.
const MASTER_KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut at = 0;
    while at < 32 {
        key[at as usize] = at;
        at += 1;
    }
    key
};

fn shared_secret(entry: &Value) -> bool {
    assert_eq!(text(&entry["input"], "encryption_master_key_base64"), base64(&MASTER_KEY));
    let ours = signature::shared_secret(text(&entry["input"], "channel"), &MASTER_KEY);
    base64(&ours) == text(&entry["expected"], "shared_secret_base64")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        let digit =
            |i: usize| if i > chunk.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * i) & 63]) };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(four).collect()
}

/// Do we refuse what the Node SDK refuses to send? The offending value is in the SDK's complaint, between quotes.
fn rejected(id: &str, entry: &Value) -> bool {
    let complaint = text(&entry["expected"], "message");
    let value = complaint.split('\'').nth(1).unwrap_or_default();
    let limits = Limits::of(Profile::Reverb);
    let publishes = |name: &str, channels: Vec<String>| {
        let body = serde_json::json!({"name": name, "data": "", "channels": channels}).to_string();
        parse_event(body.as_bytes(), &limits).is_ok()
    };
    match text(entry, "rule") {
        "channel charset" | "# reserved" | "channel length (SDK limit 200, documented server limit 164)" => {
            ChannelName::parse(value, limits.channel_name).is_err() && !publishes("e", vec![value.into()])
        }
        "event name length" => !publishes(value, vec!["a".into()]),
        "channels per trigger" => !publishes("e", (0..101).map(|i| i.to_string()).collect()),
        r"socket id must match ^\d+\.\d+$" => value.parse::<SocketId>().is_err(),
        "user id must be a non-empty string" => {
            // The complaint shows a number and a text alike; the id of the entry tells which it was.
            let id = if id.ends_with("numeric") { value.into() } else { format!("\"{value}\"") };
            UserData::parse(&format!(r#"{{"id":{id}}}"#), &limits).is_err()
        }
        // A rule of the Node SDK alone: the PHP SDK sends such requests, so a server takes them.
        "multi-channel with encrypted" => {
            assert!(publishes("e", vec!["private-encrypted-a".into(), "private-encrypted-b".into()]));
            true
        }
        unknown => panic!("{id}: nobody checks the rule {unknown:?}"),
    }
}

#[test]
fn what_the_node_sdk_breaks_by_itself_is_explained() {
    let vectors = vectors();
    let all = vectors["vectors"].as_array().unwrap();
    let entry = all.iter().find(|entry| entry["id"] == "http.node.get_param_space").unwrap();
    let (path, query) = text(&entry["request"], "request_target").split_once('?').unwrap();
    let parts = RequestParts { method: "GET", path, query, body: b"" };
    let refusal = signature::verify_request(&app(&vectors), &parts, 1_700_000_000, 600).unwrap_err();
    let expected = "auth_signature does not match: the client sent a value with & or + in it unescaped; it arrived as something else";
    assert_eq!(refusal.to_string(), expected);
}

#[test]
fn every_frame_of_the_real_clients_is_understood() {
    let vectors = vectors();
    let mut shown = Vec::new();
    for transcript in vectors["client_transcripts"].as_array().unwrap() {
        if !text(transcript, "id").ends_with(".client_frames") {
            continue;
        }
        for frame in transcript["expected"]["frames"].as_array().unwrap() {
            shown.push(match message::parse(frame.as_str().unwrap()).unwrap() {
                ClientMessage::Ping => "ping".into(),
                ClientMessage::Pong => "pong".into(),
                ClientMessage::Ignored => panic!("{frame} was ignored"),
                ClientMessage::Subscribe(s) => format!("subscribe {}", checked(&s.channel)),
                ClientMessage::Unsubscribe { channel } => format!("unsubscribe {}", checked(&channel)),
                ClientMessage::Signin { user_data, .. } => {
                    format!(
                        "signin {}",
                        UserData::parse(&user_data, &Limits::of(Profile::Reverb)).unwrap().id
                    )
                }
                ClientMessage::ClientEvent { event, channel, data } => {
                    format!("{event} {} {}", checked(&channel), data.unwrap())
                }
            });
        }
    }
    let pusher_js = [
        "subscribe my-channel",
        "subscribe private-a",
        "subscribe presence-a",
        "subscribe private-encrypted-foobar",
        "signin user-1",
        "subscribe #server-to-user-user-1",
        r#"client-typing private-a {"a":1}"#,
        r#"client-str private-a "hello""#,
        "pong",
        "pong",
        "unsubscribe my-channel",
    ];
    let echo = [
        "subscribe orders",
        "subscribe private-chat.1",
        "subscribe presence-room.1",
        r#"client-typing private-chat.1 {"a":1}"#,
        "signin 10",
        "subscribe #server-to-user-10",
        "unsubscribe private-chat.1",
    ];
    assert_eq!(shown, [pusher_js.as_slice(), &echo].concat());
}

fn checked(channel: &str) -> &str {
    ChannelName::parse(channel, Limits::of(Profile::Reverb).channel_name).map(|_| channel).unwrap()
}
