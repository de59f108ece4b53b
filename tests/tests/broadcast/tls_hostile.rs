//! What comes to a TLS port without TLS, or with half of it: it gets an answer that it understands, and a healthy client
//! notices nothing.

use gema_tests::{Authority, Client, Gema, Setup, request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that speaks TLS, and a client of it that shall notice nothing.
async fn started() -> (Gema, Client) {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let neighbour = gema.subscriber("neighbours").await;
    (gema, neighbour)
}

async fn unharmed(gema: &Gema, neighbour: &mut Client) {
    gema.api().publish("neighbours", "still-here", "x").await;
    neighbour.expect("still-here").await;
    neighbour.nothing_came().await;
}

#[tokio::test]
async fn plain_ws_is_told_to_come_back_by_wss() {
    let (gema, mut neighbour) = started().await;
    for target in [gema.target(), "/app/nobodyskey".to_owned()] {
        let mut client = Client::open(gema.broadcast, &target, &[]).await;
        assert_eq!(client.expect_error().await, (4000, "Connection must use TLS".to_owned()));
        assert_eq!(client.closed().await, (4000, "Connection must use TLS".to_owned()));
    }
    assert_eq!(gema.api().get("/connections", &[]).await.ok(), json!({"connections": 1}));
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn plain_http_is_told_to_use_https_and_nothing_is_done_for_it() {
    let (gema, mut neighbour) = started().await;
    let event = json!({"name": "e", "channel": "neighbours", "data": "x"}).to_string();
    let publish = gema.api().target("POST", "/events", &[], event.as_bytes());
    let subscriber = gema.target();
    for (method, target, body) in [
        ("GET", "/up", ""),
        ("GET", "/", ""),
        ("GET", &subscriber, ""),
        ("POST", &publish, &event),
        ("OPTIONS", "*", ""),
    ] {
        let answer = request(gema.broadcast, method, target, &[], body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{method} {target}: {}", answer.body);
        assert!(answer.body.contains("https://"), "{}", answer.body);
        assert_eq!(answer.header("connection"), "close");
    }
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn the_pages_are_served_over_tls_only() {
    let authority = Authority::new();
    let gema = Setup::serve().tls(&authority, &authority.issue("server")).start().await;
    for path in ["/login", "/api/user", "/up", "/config.json"] {
        let answer = request(gema.web, "GET", path, &[], b"").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (400, ""), "{path}");
        assert!(answer.body.contains("https://"), "{}", answer.body);
    }
}

/// The first bytes of a TLS 1.2 record that announces a ClientHello of 512 bytes.
const HALF_A_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[tokio::test]
async fn silence_and_half_handshakes_hold_up_nobody() {
    let authority = Authority::new();
    let mut gema = Setup::serve().tls(&authority, &authority.issue("server")).start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let mut held = Vec::new();
    for number in 0..400 {
        let at = if number % 4 < 2 { gema.broadcast } else { gema.web };
        let mut stream = TcpStream::connect(at).await.expect("the server listens");
        if number % 2 == 0 {
            stream.write_all(HALF_A_HELLO).await.expect("it takes a few bytes");
        }
        held.push(stream);
    }
    unharmed(&gema, &mut neighbour).await;
    gema.subscriber("others").await.nothing_came().await;
    // Nor do they hold up the end.
    gema.terminate();
    assert_eq!(neighbour.closed().await.0, 4200);
    assert!(gema.ended().await.success(), "{}", gema.log());
    assert!(!gema.log().contains("did not end in time"), "{}", gema.log());
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let (gema, mut neighbour) = started().await;
    let handshake_of_garbage = [HALF_A_HELLO, &[0xff; 600]].concat();
    let corpus: [&[u8]; 7] = [
        b"\x80\x2e\x01\x00\x02",
        b"\x16",
        b"\x16\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x15\x03\x01\x00\x02\x02\x28",
        &[0; 512],
        &handshake_of_garbage,
    ];
    for garbage in corpus {
        let mut stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
        stream.write_all(garbage).await.expect("it takes a few bytes");
        stream.shutdown().await.expect("our own half");
        // What it answers, an alert or a 400, is its business; that it ends is ours.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    unharmed(&gema, &mut neighbour).await;
}

#[tokio::test]
async fn garbage_inside_a_connection_ends_that_one() {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let mut neighbour = gema.subscriber("neighbours").await;
    let trust = authority.trust();
    let stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let mut stream = trust.shake_hands(stream).await.expect("a handshake");
    let upgrade = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gema.target()
    );
    stream.write_all(upgrade.as_bytes()).await.expect("it takes a request");
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("connection_established") {
        assert_ne!(stream.read_buf(&mut heard).await.expect("an answer"), 0, "it ended too early");
    }
    // A record that nobody has encrypted.
    let (socket, _) = stream.get_mut();
    socket.write_all(b"\x17\x03\x03\x00\x20this was never encrypted, was it").await.expect("bytes");
    // An alert and the end.
    let _ = socket.read_to_end(&mut Vec::new()).await;
    unharmed(&gema, &mut neighbour).await;
}
