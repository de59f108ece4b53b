//! Who is alive, and who is told so.

use std::convert::Infallible;

use gema_tests::wire::{self, Seen, Wire};
use gema_tests::{Client, Gema, Heard, PATIENCE, Setup};
use serde_json::{Value, json};
use tokio::time::Duration;
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

/// A server that asks after a second of silence and waits four more for an answer.
fn impatient() -> Setup {
    Setup::broadcast().env("REVERB_APP_PING_INTERVAL", "1").env("REVERB_APP_PONG_TIMEOUT", "4")
}

/// More seconds than silence and wait together: who is not heard for so long is gone.
const ROUNDS: usize = 6;

/// Waits for the server's ping, an event or a control frame, passing over what else comes.
async fn asked(client: &mut Client) -> Heard {
    loop {
        match client.hear().await {
            Heard::Frame(frame) if frame.event != "pusher:ping" => {}
            Heard::Frame(frame) => {
                assert_eq!(frame.text, r#"{"event":"pusher:ping","data":"{}"}"#);
                return Heard::Frame(frame);
            }
            ping @ Heard::Ping(_) => return ping,
            other => panic!("a ping was due, not {other:?}"),
        }
    }
}

/// Lets somebody behave in some way while a witness, who does nothing but answer, is asked [`ROUNDS`] times.
async fn meanwhile(gema: &Gema, behave: impl Future<Output = Infallible>) {
    let mut witness = gema.client().await;
    let rounds = async {
        for _ in 0..ROUNDS {
            asked(&mut witness).await;
            witness.send("pusher:pong", json!({}), None).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        never = behave => match never {},
    }
}

/// Still connected, whatever it was asked meanwhile.
async fn lives(client: &mut Client) {
    client.send("pusher:ping", json!({}), None).await;
    loop {
        match client.hear().await {
            Heard::Frame(frame) if frame.text == PONG => return,
            Heard::Frame(_) | Heard::Ping(_) | Heard::Pong(_) => {}
            other => panic!("the client was cut: {other:?}"),
        }
    }
}

/// A pace well below the second of silence.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn r_lw_869_a_busy_client_that_sends_no_ping_and_answers_none_stays() {
    let gema = impatient().start().await;
    let mut client = gema.subscriber("private-a").await;
    meanwhile(&gema, async {
        loop {
            client.send("client-typing", json!({}), Some("private-a")).await;
            pause().await;
        }
    })
    .await;
    lives(&mut client).await;
}

#[tokio::test]
async fn r_lw_778_a_client_that_only_receives_is_asked_all_the_same_and_stays() {
    let gema = impatient().start().await;
    let mut client = gema.subscriber("room").await;
    let api = gema.api();
    let mut answered = 0;
    meanwhile(&gema, async {
        let publish = async {
            loop {
                api.publish("room", "news", "x").await;
                pause().await;
            }
        };
        let answer = async {
            loop {
                asked(&mut client).await;
                client.send("pusher:pong", json!({}), None).await;
                answered += 1;
            }
        };
        tokio::join!(publish, answer).0
    })
    .await;
    assert!(answered > 0, "what the server sends is no sign of the client's life");
    lives(&mut client).await;
}

#[tokio::test]
async fn r_sockudo_30_a_client_that_only_pings_stays() {
    let gema = impatient().start().await;
    let mut client = gema.client().await;
    meanwhile(&gema, async {
        loop {
            client.send("pusher:ping", json!({}), None).await;
            pause().await;
        }
    })
    .await;
    lives(&mut client).await;
}

#[tokio::test]
async fn r_reverb_224_a_client_that_sends_control_frames_is_pinged_by_control_frames() {
    let gema = impatient().start().await;
    let after = async |first| {
        let mut client = gema.client().await;
        assert!(matches!(asked(&mut client).await, Heard::Frame(_)), "events are the default");
        client.send_message(first).await;
        // Reading is all it does from here on: its library answers.
        meanwhile(&gema, async {
            loop {
                match client.hear().await {
                    Heard::Ping(payload) => assert!(payload.is_empty()),
                    Heard::Pong(_) => {}
                    other => panic!("a control ping was due, not {other:?}"),
                }
            }
        })
        .await;
        lives(&mut client).await;
    };
    tokio::join!(after(Message::Ping(Vec::new().into())), after(Message::Pong(Vec::new().into())));
}

#[tokio::test]
async fn a_client_too_old_to_know_pings_is_pinged_by_control_frames() {
    let gema = impatient().start().await;
    let target = format!("/app/{}?protocol=4", gema.app.key);
    let mut client = Client::open(gema.broadcast, &target, &[]).await.established().await;
    assert!(matches!(asked(&mut client).await, Heard::Ping(_)));
}

#[tokio::test]
async fn part_of_a_frame_is_a_sign_of_life() {
    let gema = impatient().start().await;
    let mut wire = Wire::open(gema.broadcast, &gema.target(), "", b"").await;
    assert!(matches!(wire.next().await, Seen::Text(_)));
    let message = wire::frame(wire::FIN | wire::TEXT, "x".repeat(5_000).as_bytes());
    let mut octets = message.chunks(1);
    meanwhile(&gema, async {
        loop {
            wire.send(octets.next().expect("5,000 pauses are longer than this test")).await;
            pause().await;
        }
    })
    .await;
    wire.send(&octets.collect::<Vec<_>>().concat()).await;
    while !matches!(wire.next().await, Seen::Text(text) if text.contains("Invalid message format")) {}
}

#[tokio::test]
async fn r_reverb_375_a_silent_client_is_asked_once_and_closed_whether_subscribed_or_not() {
    let gema = impatient().start().await;
    let mut clients = [gema.client().await, gema.subscriber("room").await];
    for client in &mut clients {
        assert!(matches!(asked(client).await, Heard::Frame(_)));
        match client.hear().await {
            Heard::Closed(code, reason) => {
                assert_eq!((code, reason.as_str()), (4201, "Pong reply not received in time"));
            }
            other => panic!("a close was due, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn r_reverb_306_an_answer_to_each_ping_keeps_a_client_that_never_subscribed() {
    let gema = impatient().start().await;
    let mut client = gema.client().await;
    for _ in 0..ROUNDS {
        asked(&mut client).await;
        client.send("pusher:pong", json!({}), None).await;
    }
    lives(&mut client).await;
}

#[tokio::test]
async fn r_sockudo_193_frozen_clients_are_gone_with_all_they_held() {
    let gema = impatient().start().await;
    let mut witness = gema.subscriber("room").await;
    let before = gema.open_files();
    // They are kept and never read again: as a process that was stopped, or a machine that was unplugged.
    let frozen = [gema.client().await, gema.subscriber("room").await, gema.subscriber("private-a").await];
    assert_eq!(gema.open_files(), before + frozen.len());
    let start = std::time::Instant::now();
    while gema.open_files() > before {
        asked(&mut witness).await;
        witness.send("pusher:pong", json!({}), None).await;
        assert!(start.elapsed() < PATIENCE, "{} files are still open, not {before}", gema.open_files());
    }
    assert_eq!(gema.api().get("/connections", &[]).await.ok(), json!({"connections": 1}));
    assert_eq!(gema.api().get("/channels", &[]).await.ok(), json!({"channels": {"room": {}}}));
    lives(&mut witness).await;
    drop(frozen);
}

#[tokio::test]
async fn connections_are_counted_whether_they_subscribe_or_not() {
    let gema = Setup::broadcast().start().await;
    let _idle = gema.client().await;
    let _busy = gema.subscriber("room").await;
    let answer: Value = gema.api().get("/connections", &[]).await.ok();
    assert_eq!(answer, json!({"connections": 2}));
}
