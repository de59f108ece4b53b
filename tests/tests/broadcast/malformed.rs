//! One odd message must harm nobody: the shapes that took other servers down, and all that can be made of them, sent to
//! a server with many healthy clients. None of them is disconnected, and the log holds no panic (see [`gema_tests::Gema`]).

use std::fmt::Write as _;

use futures_util::future::join_all;
use gema_tests::{Client, Gema, Heard, Raw, Setup, request};
use serde_json::json;

const HEALTHY: usize = 200;

/// A server whose clients are well, and how to see that they still are.
struct Stage {
    gema: Gema,
    healthy: Vec<Client>,
}

impl Stage {
    async fn set() -> Self {
        let gema = Setup::broadcast().start().await;
        let healthy = join_all((0..HEALTHY).map(|_| gema.subscriber("healthy"))).await;
        Self { gema, healthy }
    }

    /// Each of them hears the next event and nothing before it.
    async fn all_are_well(mut self) {
        self.gema.api().publish("healthy", "news", "x").await;
        join_all(self.healthy.iter_mut().map(|client| client.expect("news"))).await;
        let answer = self.gema.api().get("/channels/healthy", &[("info", "subscription_count")]).await.ok();
        assert_eq!(answer["subscription_count"], json!(HEALTHY));
    }

    /// Sends the messages on one connection, which must survive them all; how many were answered with an error.
    async fn survives(&self, client: &mut Client, messages: &[String]) -> usize {
        let mut errors = 0;
        for message in messages {
            client.send_text(message).await;
            client.send("pusher:ping", json!({}), None).await;
            loop {
                match client.hear().await {
                    Heard::Frame(frame) if frame.event == "pusher:pong" => break,
                    Heard::Frame(frame) => errors += usize::from(frame.event == "pusher:error"),
                    other => panic!("{message:.200} led to {other:?}"),
                }
            }
        }
        errors
    }
}

/// Every kind of JSON value, and what looks like one.
const VALUES: [&str; 18] = [
    "null",
    "true",
    "0",
    "-1.5e300",
    "1e999",
    "18446744073709551616",
    r#""""#,
    r#"" ""#,
    r#""{}""#,
    r#""[]""#,
    r#""null""#,
    r#""{\"channel\":\"a\"""#,
    r#""\u0000""#,
    r#""\ud800""#,
    "[]",
    r#"["a","b"]"#,
    "{}",
    r#"{"a":{"b":[null]}}"#,
];
const EVENTS: [&str; 11] = [
    "pusher:ping",
    "pusher:pong",
    "pusher:subscribe",
    "pusher:unsubscribe",
    "pusher:signin",
    "pusher:error",
    "pusher:nonsense",
    "pusher_internal:subscription_succeeded",
    "client-x",
    "other",
    "",
];
const FIELDS: [&str; 5] = ["channel", "auth", "channel_data", "user_data", "x"];

/// An event with each value as its data, its channel, and within its data; and each value as the event and the message.
fn every_shape() -> Vec<String> {
    let mut messages: Vec<String> = VALUES.iter().map(|value| (*value).to_owned()).collect();
    messages.extend(VALUES.iter().map(|value| format!(r#"{{"event":{value},"data":{{}}}}"#)));
    for event in EVENTS {
        messages.push(format!(r#"{{"event":"{event}"}}"#));
        for value in VALUES {
            messages.push(format!(r#"{{"event":"{event}","data":{value}}}"#));
            messages.push(format!(r#"{{"event":"{event}","channel":{value},"data":{{}}}}"#));
            for field in FIELDS {
                let good = r#""channel":"private-a","auth":"k:0","user_data":"{}""#;
                messages.push(format!(r#"{{"event":"{event}","data":{{"{field}":{value}}}}}"#));
                messages.push(format!(r#"{{"event":"{event}","data":{{{good},"{field}":{value}}}}}"#));
            }
        }
    }
    messages
}

#[tokio::test]
async fn no_shape_of_a_message_harms_its_sender_or_anybody_else() {
    let stage = Stage::set().await;
    let shapes = every_shape();
    let parts: Vec<_> = shapes.chunks(shapes.len().div_ceil(4)).collect();
    let errors = join_all(parts.iter().map(|part| async {
        let mut client = stage.gema.client().await;
        stage.survives(&mut client, part).await
    }))
    .await;
    assert!(
        errors.iter().sum::<usize>() > shapes.len() / 2,
        "most shapes are answered with an error: {errors:?}"
    );
    stage.all_are_well().await;
}

#[tokio::test]
async fn no_cut_of_a_message_harms_its_sender_or_anybody_else() {
    let stage = Stage::set().await;
    let whole = r#"{"event":"pusher:subscribe","data":{"auth":"k:\u00e9","channel":"private-a","channel_data":"{\"user_id\":1}"}}"#;
    let cut = (0..whole.len()).map(|at| whole[..at].to_owned());
    let without = (0..whole.len()).map(|at| format!("{}{}", &whole[..at], &whole[at + 1..]));
    let doubled = (0..whole.len()).map(|at| format!("{}{}", &whole[..=at], &whole[at..]));
    let deep = [10, 127, 128, 129, 1_000, 4_000].iter().flat_map(|depth| {
        let (open, close) = ("[".repeat(*depth), "]".repeat(*depth));
        [
            format!("{open}{close}"),
            open.clone(),
            format!(r#"{{"event":"client-x","channel":"a","data":{open}{close}}}"#),
        ]
    });
    let messages: Vec<String> = cut.chain(without).chain(doubled).chain(deep).collect();
    let mut client = stage.gema.client().await;
    stage.survives(&mut client, &messages).await;
    stage.all_are_well().await;
}

#[tokio::test]
async fn r_reverb_89_a_subscription_without_a_text_for_auth_is_refused() {
    let stage = Stage::set().await;
    let mut client = stage.gema.client().await;
    for channel in ["private-a", "presence-a", "private-encrypted-a", "private-cache-a", "presence-cache-a"] {
        for (auth, code) in [
            ("", 4009),
            (r#","auth":null"#, 4009),
            (r#","auth":"""#, 4009),
            (r#","auth":"k""#, 4009),
            (r#","auth":":""#, 4009),
            (r#","auth":{}"#, 4200),
            (r#","auth":[]"#, 4200),
            (r#","auth":7"#, 4200),
        ] {
            let data = format!(r#"{{"channel":"{channel}"{auth}}}"#);
            client.send_text(&format!(r#"{{"event":"pusher:subscribe","data":{data}}}"#)).await;
            assert_eq!(client.expect_error().await.0, code, "{data}");
        }
    }
    stage.all_are_well().await;
}

#[tokio::test]
async fn r_reverb_120_channel_data_that_is_no_text_is_refused() {
    let stage = Stage::set().await;
    let mut client = stage.gema.client().await;
    for channel_data in [r#"{"user_id":"f7","user_info":[]}"#, r#"["a"]"#, "1", "true"] {
        let data = format!(r#"{{"channel":"private-a","auth":"k:0","channel_data":{channel_data}}}"#);
        client.send_text(&format!(r#"{{"event":"pusher:subscribe","data":{data}}}"#)).await;
        assert_eq!(client.expect_error().await, (4200, "Invalid message format".to_owned()), "{data}");
    }
    stage.all_are_well().await;
}

#[tokio::test]
async fn r_reverb_111_r_reverb_90_an_app_that_nobody_has_configured_is_not_found() {
    let stage = Stage::set().await;
    for id in ["", "null", "undefined", "0", "%00", "..", "a%2Fb", "%F0%9F%98%80"] {
        let target = format!("/apps/{id}/events?auth_key=null&auth_signature=null&auth_timestamp=null");
        let answer = request(stage.gema.broadcast, "POST", &target, &[], b"{}").await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.body);
        let mut client = Client::open(stage.gema.broadcast, &format!("/app/{id}?protocol=7"), &[]).await;
        assert_eq!(client.expect_error().await, (4001, "Application does not exist".to_owned()), "{id}");
    }
    stage.all_are_well().await;
}

#[tokio::test]
async fn r_reverb_344_a_request_that_a_proxy_has_stripped_of_its_upgrade_is_told_so() {
    let stage = Stage::set().await;
    for lines in [
        &[][..],
        &["Connection: close"],
        &["Connection: keep-alive"],
        &["Upgrade: websocket"],
        &["Connection: Upgrade"],
        &["Connection: Upgrade", "Upgrade: h2c"],
        &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
    ] {
        let mut raw = Raw::connect(stage.gema.broadcast).await;
        raw.send_head("GET", &stage.gema.target(), lines).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 426, "{lines:?}: {}", answer.body);
        assert!(answer.body.contains("WebSocket"), "{}", answer.body);
    }
    stage.all_are_well().await;
}

/// A publisher learns what was wrong with its request, in whatever pieces that came; never a bare 500.
#[tokio::test]
async fn r_reverb_118_r_reverb_119_r_reverb_193_no_publisher_is_left_with_an_internal_error() {
    let stage = Stage::set().await;
    let mut list = String::new();
    (0..1_024).for_each(|n| write!(list, "{n},").expect("a text takes more"));
    let good = json!({"name": "App\\Events\\GateIoEvent", "channels": ["a"], "data": list}).to_string();
    let api = stage.gema.api();
    for pieces in [1, 10, 1_000] {
        let mut raw = Raw::connect(stage.gema.broadcast).await;
        let target = api.target("POST", "/events", &[], good.as_bytes());
        raw.send_head("POST", &target, &[&format!("Content-Length: {}", good.len())]).await;
        raw.send_in_pieces(good.as_bytes(), good.len().div_ceil(pieces)).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"), "in {pieces} pieces");
    }
    for body in ["", "null", "[]", "{", r#"{"name":"e"}"#, r#"{"name":7,"data":7}"#, "\u{0}", "x=1&y=2"] {
        let answer = api.call("POST", "/events", &[], body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.body);
        assert!(answer.body.len() > 20, "{body:?} is refused without a reason: {}", answer.body);
    }
    stage.all_are_well().await;
}
