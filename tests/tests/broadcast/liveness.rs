//! Who is alive, and who is told so.

use gema_tests::{Client, Heard, PATIENCE, Setup};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const PONG: &str = r#"{"event":"pusher:pong","data":"{}"}"#;

#[tokio::test]
async fn a_protocol_ping_is_answered_in_every_shape() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    for data in [json!({}), json!("{}"), json!(null), json!([]), json!({"a": 1})] {
        client.send("pusher:ping", data, None).await;
        assert_eq!(client.frame().await.text, PONG);
    }
    client.send_text(r#"{"event":"pusher:ping"}"#).await;
    assert_eq!(client.frame().await.text, PONG);
}

#[tokio::test]
async fn r_reverb_237_empty_ping_data() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    client.send("pusher:ping", json!(""), None).await;
    assert_eq!(client.frame().await.text, PONG);
}

#[tokio::test]
async fn a_control_ping_gets_its_own_payload_back() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        client.send_message(Message::Ping(payload.to_vec().into())).await;
        match client.hear().await {
            Heard::Pong(back) => assert_eq!(back, payload),
            other => panic!("a pong was due, not {other:?}"),
        }
    }
}

/// A server that takes a second of silence for a reason to ask.
fn impatient() -> Setup {
    Setup::broadcast().env("REVERB_APP_PING_INTERVAL", "1")
}

/// Waits for a ping. It is due after a second; what comes after half of the time that a pong may take was not due to it.
async fn asked(client: &mut Client) {
    let heard = tokio::time::timeout(PATIENCE / 2, client.hear()).await;
    match heard.expect("a ping after each second of silence") {
        Heard::Frame(frame) => assert_eq!(frame.text, r#"{"event":"pusher:ping","data":"{}"}"#),
        Heard::Ping(_) => {}
        other => panic!("a ping was due, not {other:?}"),
    }
}

#[tokio::test]
async fn r_reverb_375_a_silent_client_without_any_subscription_is_asked() {
    let gema = impatient().start().await;
    let mut client = gema.client().await;
    for _ in 0..2 {
        asked(&mut client).await;
        client.send("pusher:pong", json!({}), None).await;
    }
}

#[tokio::test]
async fn r_reverb_224_a_client_that_knows_only_control_frames_stays() {
    let gema = impatient().start().await;
    let mut client = gema.client().await;
    for _ in 0..2 {
        asked(&mut client).await;
        client.send_message(Message::Pong(Vec::new().into())).await;
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn connections_are_counted_whether_they_subscribe_or_not() {
    let gema = Setup::broadcast().start().await;
    let _idle = gema.client().await;
    let _busy = gema.subscriber("room").await;
    let answer: Value = gema.api().get("/connections", &[]).await.ok();
    assert_eq!(answer, json!({"connections": 2}));
}
