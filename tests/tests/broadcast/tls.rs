//! The listeners speak TLS themselves: everything works as without it, and a renewed certificate needs no restart. What
//! comes without TLS, or with half of it, is in `tls_hostile.rs`.

use std::collections::HashMap;
use std::fs;

use gema_tests::{Authority, Certificate, Gema, PATIENCE, Setup, Trust, request_over};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep};

#[tokio::test]
async fn a_client_connects_by_wss_and_receives_what_is_published_by_https() {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    assert!(gema.log().contains("broadcast server on https://"), "{}", gema.log());
    let mut client = gema.subscriber("private-room").await;
    gema.api().publish("private-room", "e", "x").await;
    assert_eq!(client.expect("e").await.data, json!("x"));
    client.nothing_came().await;
}

#[tokio::test]
async fn tls_1_2_is_good_enough() {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let stream = authority.trust_over_tls12().shake_hands(stream).await.expect("a handshake");
    let mut client = gema_tests::Client::over(stream, &gema.target(), &[]).await.established().await;
    client.subscribe("room", "").await;
    gema.api().publish("room", "e", "x").await;
    client.expect("e").await;
}

#[tokio::test]
async fn http_1_1_is_all_that_is_negotiated() {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let trust = authority.trust();
    let connect = async || TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let both =
        trust.clone().offering(&["h2", "http/1.1"]).shake_hands(connect().await).await.expect("a handshake");
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(trust.offering(&["h2"]).shake_hands(connect().await).await.is_err());
}

const PUBLISHERS: usize = 4;
const BATCHES: usize = 25;
const BATCH: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_arrive_once_and_in_order() {
    let authority = Authority::new();
    let gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(gema.subscriber("room").await);
    }
    let publish = |publisher: usize| {
        let api = gema.api();
        tokio::spawn(async move {
            for first in (0..BATCHES * BATCH).step_by(BATCH) {
                let item =
                    |number| json!({"name": "e", "channel": "room", "data": format!("{publisher}:{number}")});
                let batch: Vec<_> = (first..first + BATCH).map(item).collect();
                api.post("/batch_events", &json!({"batch": batch})).await.ok();
            }
        })
    };
    let publishers: Vec<_> = (0..PUBLISHERS).map(publish).collect();
    for client in &mut clients {
        let mut next = HashMap::new();
        for _ in 0..PUBLISHERS * BATCHES * BATCH {
            let frame = client.expect("e").await;
            let (publisher, number) = frame.data.as_str().and_then(|data| data.split_once(':')).expect("p:n");
            let due = next.entry(publisher.to_owned()).or_insert(0_usize);
            assert_eq!(number, due.to_string(), "publisher {publisher}");
            *due += 1;
        }
        client.nothing_came().await;
    }
    for publisher in publishers {
        publisher.await.expect("no publisher fails");
    }
}

/// Around the size of a TLS record, of the ciphertext that may wait, and above the whole queue of a connection.
const SIZES: [usize; 6] = [16_000, 16_384, 17_000, 64 * 1024, 100_000, 1_500_000];

#[tokio::test]
async fn frames_of_any_size_arrive_whole_in_both_directions() {
    let authority = Authority::new();
    let gema = Setup::broadcast()
        .env("REVERB_MAX_REQUEST_SIZE", "4000000")
        .env("REVERB_APP_MAX_MESSAGE_SIZE", "200000")
        .tls(&authority, &authority.issue("server"))
        .start()
        .await;
    let (mut sender, mut client) = (gema.subscriber("private-r").await, gema.subscriber("private-r").await);
    for size in SIZES {
        let data = "0123456789abcdef".repeat(size / 16);
        gema.api().publish("private-r", "e", &data).await;
        for client in [&mut sender, &mut client] {
            assert_eq!(client.expect("e").await.data, json!(data), "{size} bytes");
        }
    }
    let large = "x".repeat(144_000);
    sender.send("client-e", json!(large), Some("private-r")).await;
    let (_, refusal) = sender.expect_error().await;
    assert!(refusal.contains("144002"), "it was read to its end: {refusal}");
    for number in 0..40 {
        sender.send("client-e", json!(format!("{number:09000}")), Some("private-r")).await;
    }
    for number in 0..40 {
        assert_eq!(client.expect("client-e").await.data, json!(format!("{number:09000}")));
    }
}

#[tokio::test]
async fn the_end_is_as_orderly_as_without_tls() {
    let authority = Authority::new();
    let mut gema = Setup::broadcast().tls(&authority, &authority.issue("server")).start().await;
    let mut clients = [gema.client().await, gema.subscriber("room").await];
    let half = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    gema.terminate();
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 4200);
        assert!(matches!(client.hear().await, gema_tests::Heard::Gone(why) if why == "end of stream"));
    }
    assert!(gema.ended().await.success(), "{}", gema.log());
    drop(half);
}

#[tokio::test]
async fn the_certificate_that_valet_has_for_the_host_is_taken_as_reverb_does() {
    let authority = Authority::new();
    let certificate = authority.issue_for("server", "office.test");
    for folder in [".config/valet/Certificates", ".valet/Certificates"] {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder in it");
        fs::copy(&certificate.cert, folder.join("office.test.crt")).expect("a file");
        fs::copy(&certificate.key, folder.join("office.test.key")).expect("a file");
        let setup = || Setup::broadcast().env("HOME", home.path().to_str().expect("a path in UTF-8"));
        let gema = setup().env("REVERB_HOST", "office.test").start().await;
        shown(&gema, &authority.trust().named("office.test")).await;
        let gema = setup().env("REVERB_HOST", "other.test").start().await;
        gema.client().await.nothing_came().await;
    }
}

/// The certificate that a new connection is shown.
async fn shown(gema: &Gema, trust: &Trust) -> Vec<u8> {
    let stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let stream = trust.shake_hands(stream).await.expect("a certificate that is trusted");
    let certificates = stream.get_ref().1.peer_certificates().expect("the server has one");
    certificates[0].to_vec()
}

/// Waits for a line in the log.
async fn said(gema: &Gema, words: &str) {
    let start = Instant::now();
    while !gema.log().contains(words) {
        assert!(start.elapsed() < PATIENCE, "gema never said {words:?}:\n{}", gema.log());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_those_who_come_and_disturbs_nobody() {
    let authority = Authority::new();
    let files = authority.issue("server");
    let gema = Setup::broadcast().tls(&authority, &files).start().await;
    let mut client = gema.subscriber("room").await;
    let before = shown(&gema, &authority.trust()).await;

    authority.issue("server");
    gema.signal(Signal::HUP);
    said(&gema, "the certificate was read again").await;
    // A trust of its own: one that has been here would resume its session, which shows no certificate.
    let renewed = shown(&gema, &authority.trust()).await;
    assert_ne!(renewed, before);

    let damages: [fn(&Certificate); 3] = [
        |files| fs::write(&files.cert, "not a certificate").expect("a file"),
        |files| fs::remove_file(&files.cert).expect("a file"),
        |files| fs::copy(&files.key, &files.cert).map(drop).expect("a file"),
    ];
    for (index, damage) in damages.iter().enumerate() {
        damage(&files);
        gema.signal(Signal::HUP);
        let start = Instant::now();
        while gema.log().matches("the old certificate stays in use: GEMA_TLS_").count() <= index {
            assert!(start.elapsed() < PATIENCE, "no word on damage {index}:\n{}", gema.log());
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(shown(&gema, &authority.trust()).await, renewed);
    }
    gema.api().publish("room", "e", "x").await;
    client.expect("e").await;
}

/// One call of the attendance API over TLS.
async fn call(
    gema: &Gema,
    trust: &Trust,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &Value,
) -> gema_tests::Answer {
    let stream = TcpStream::connect(gema.web).await.expect("the API listens");
    let stream = trust.shake_hands(stream).await.expect("a certificate that is trusted");
    let json = [("content-type", "application/json"), ("accept", "application/json")];
    request_over(stream, method, path, &[&json, headers].concat(), body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_check_in_by_https_reaches_the_channel_by_wss() {
    let authority = Authority::new();
    // The worker publishes to 127.0.0.1, which this certificate does not name, and its authority is unknown here.
    let certificate = authority.issue_for("server", "office.example.com");
    let gema = Setup::serve().tls(&authority, &certificate).start().await;
    let trust = authority.trust().named("office.example.com");
    let mut client = gema.subscriber("attendances").await;

    let config = call(&gema, &trust, ("GET", "/config.json"), &[], &json!(null)).await.ok();
    assert_eq!((&config["scheme"], &config["port"]), (&json!("https"), &json!(gema.broadcast.port())));
    let cookies = call(&gema, &trust, ("GET", "/sanctum/csrf-cookie"), &[], &json!(null)).await;
    let cookies: Vec<_> = cookies.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert!(
        cookies.len() == 2 && cookies.iter().all(|(_, value)| value.ends_with("; Secure")),
        "{cookies:?}"
    );

    let account = json!({"email": "admin@example.com", "password": "password"});
    let token = call(&gema, &trust, ("POST", "/api/login"), &[], &account).await.ok()["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().expect("a token"));
    let headers = [("authorization", bearer.as_str())];
    let record = call(&gema, &trust, ("POST", "/api/attendances/check-in"), &headers, &json!({})).await;
    assert_eq!(record.status, 201, "{}", record.body);
    let event = client.expect("attendance.created").await.inner();
    assert_eq!(event["attendance"]["id"], record.json()["id"]);
}
