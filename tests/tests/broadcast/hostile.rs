//! What no honest client sends. The rule in every test: the sender gets the documented error, and a healthy client on
//! the same server notices nothing.

use gema_tests::wire::{Seen, Wire};
use gema_tests::{Client, Gema, Heard, Setup};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// The neighbour still receives, in order, and nothing else.
async fn unharmed(gema: &Gema, neighbour: &mut Client) {
    gema.api().publish("neighbours", "still-here", "x").await;
    neighbour.expect("still-here").await;
    neighbour.nothing_came().await;
}

#[tokio::test]
async fn malformed_messages_are_answered_and_the_connection_stays() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut client = gema.client().await;
    let deep = format!(r#"{{"event":"pusher:subscribe","data":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let corpus = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[1,2]",
        "null",
        "1",
        "\"text\"",
        "{}",
        "nonsense",
        "{\"event\"}",
        "\u{0}",
        r#"{"event":null}"#,
        r#"{"event":1}"#,
        r#"{"event":["pusher:ping"]}"#,
        r#"{"event":{}}"#,
        r#"{"data":{}}"#,
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":null}"#,
        r#"{"event":"pusher:subscribe","data":"{"}"#,
        r#"{"event":"pusher:subscribe","data":[]}"#,
        r#"{"event":"pusher:subscribe","data":{}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":7}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":null}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":["a"]}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":"private-a","auth":{}}}"#,
        r#"{"event":"pusher:unsubscribe","data":{}}"#,
        r#"{"event":"pusher:unsubscribe"}"#,
        r#"{"event":"pusher:nonsense","data":{}}"#,
        r#"{"event":"pusher:","data":{}}"#,
        r#"{"event":"pusher:connection_established","data":{}}"#,
        r#"{"event":"pusher_internal:member_added","channel":"a","data":"{}"}"#,
        r#"{"event":"client-x","data":{}}"#,
        r#"{"event":"client-x","channel":7,"data":{}}"#,
        r#"{"event":"pusher:ping"} trailing"#,
        &deep,
    ];
    for text in corpus {
        client.send_text(text).await;
        let (code, message) = client.expect_error().await;
        assert_eq!((code, message.as_str()), (4200, "Invalid message format"), "{:.80}", text);
    }
    client.subscribe("room", "").await;
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn r_reverb_291_forged_and_empty_channel_names_are_refused() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut client = gema.client().await;
    let long = "c".repeat(201);
    let names = [
        "",
        " ",
        "a b",
        "a/b",
        "a:b",
        "1.1::user::{}",
        "a\nb",
        "a\u{0}b",
        "é",
        "a#b",
        "#a",
        "#server-to-user-1",
        "a*",
        "a\"b",
        "a\\b",
        "<a>",
        "..%2f",
        &long,
    ];
    for name in names {
        client.ask_subscribe(name, "").await;
        let (code, _) = client.expect_error().await;
        assert!(code == 4009 || (name.is_empty() && code == 4200), "{name:?}: {code}");
    }
    assert_eq!(gema.api().get("/channels", &[]).await.ok(), json!({"channels": {"neighbours": {}}}));
    client.subscribe(&"c".repeat(200), "").await;
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn unknown_events_and_fields_are_ignored() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    for event in ["anything", "App\\\\Events\\\\OrderShipped", "pusherlike", "Pusher:ping", ""] {
        client.send_text(&format!(r#"{{"event":"{event}","data":{{}},"channel":"a"}}"#)).await;
    }
    client.nothing_came().await;
    client.send_text(r#"{"x":[{}],"event":"pusher:subscribe","data":{"y":1,"channel":"a"},"z":null}"#).await;
    client.expect("pusher_internal:subscription_succeeded").await;
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_its_connection_with_1009() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut client = gema.client().await;
    let fits = format!(r#"{{"event":"ignored","channel":"a","data":"{}"}}"#, "x".repeat(9_900));
    assert!(fits.len() <= 10_000);
    client.send_text(&fits).await;
    client.nothing_came().await;
    client.try_send_text(&"x".repeat(10_001)).await;
    assert_eq!(client.closed().await, (1009, "Maximum message size exceeded".to_owned()));
    for size in [100_000, 20_000_000] {
        let mut client = gema.client().await;
        client.try_send_text(&"x".repeat(size)).await;
        let (code, reason) = client.closed().await;
        // A frame that is still being sent when the server gives up may lose the close frame to a reset.
        assert!(code == 1009 || code == 1006, "{size}: {code} {reason}");
    }
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn the_frame_limit_is_the_configured_one() {
    let gema = Setup::broadcast().env("REVERB_APP_MAX_MESSAGE_SIZE", "2000").start().await;
    let mut client = gema.client().await;
    let text = |size: usize| format!(r#"{{"event":"ignored","channel":"{}"}}"#, "x".repeat(size - 32));
    assert_eq!(text(2000).len(), 2000);
    client.send_text(&text(2000)).await;
    client.nothing_came().await;
    client.send_text(&text(2001)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn binary_frames_crash_nothing() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut client = gema.client().await;
    client.send_message(Message::binary(vec![0xff, 0xfe, 0x00])).await;
    client.send_message(Message::binary(&b"{}"[..])).await;
    client.send("pusher:ping", json!({}), None).await;
    loop {
        match client.hear().await {
            Heard::Frame(frame) if frame.event == "pusher:pong" => break,
            Heard::Frame(frame) => assert_eq!(frame.event, "pusher:error"),
            Heard::Closed(code, _) => break assert_eq!(code, 1007),
            other => panic!("{other:?}"),
        }
    }
    unharmed(&gema, &mut neighbour).await;
}

/// Bytes that break RFC 6455 in one way each, sent after a correct upgrade. What each leads to is tested in `rfc6455`.
const BROKEN: [&[u8]; 5] = [
    &[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
    &[0x81, 0x02, b'h', b'i'],
    &[0xc1, 0x80, 0, 0, 0, 0],
    &[0x80, 0x80, 0, 0, 0, 0],
    &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

#[tokio::test]
async fn broken_websocket_frames_end_only_their_own_connection() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    for bytes in BROKEN {
        let mut wire = Wire::open(gema.broadcast, &gema.target(), "", bytes).await;
        while wire.next().await != Seen::End {}
        unharmed(&gema, &mut neighbour).await;
    }
}

#[tokio::test]
async fn garbage_instead_of_http_harms_nobody() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut raw = TcpStream::connect(gema.broadcast).await.expect("the server listens");
        raw.write_all(garbage).await.expect("the server reads");
        drop(raw);
    }
    let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; 1_000_000]].concat();
    let mut raw = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    // The server may hang up before it has read it all.
    let _ = raw.write_all(&endless).await;
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn a_flood_of_pings_from_one_client_leaves_the_others_alone() {
    let gema = Setup::broadcast().start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut client = gema.client().await;
    for _ in 0..2_000 {
        client.send("pusher:ping", json!({}), None).await;
    }
    for _ in 0..2_000 {
        client.expect("pusher:pong").await;
    }
    unharmed(&gema, &mut neighbour).await;
}
