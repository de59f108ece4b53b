//! How the process ends, and how it refuses to begin.

use std::time::{Duration, Instant};

use gema_tests::wire::{Seen, Wire, handshake};
use gema_tests::{Client, PATIENCE, Raw, Setup};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[tokio::test]
async fn sigterm_sends_the_clients_away_with_4200_and_ends_with_0() {
    let mut gema = Setup::broadcast().start().await;
    let mut clients =
        vec![gema.client().await, gema.subscriber("room").await, gema.subscriber("private-a").await];
    gema.terminate();
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 4200, "pusher-js returns at once on this code");
    }
    assert!(gema.ended().await.success(), "{}", gema.log());
}

#[tokio::test]
async fn a_client_that_never_answers_the_close_does_not_hold_up_the_end() {
    let mut gema = Setup::broadcast().start().await;
    let silent: Vec<Client> = vec![gema.client().await, gema.subscriber("room").await];
    gema.terminate();
    assert!(gema.ended().await.success(), "{}", gema.log());
    drop(silent);
}

#[tokio::test]
async fn serve_ends_with_0_too() {
    let mut gema = Setup::serve().start().await;
    let mut client = gema.subscriber("attendances").await;
    gema.terminate();
    assert_eq!(client.closed().await.0, 4200);
    assert!(gema.ended().await.success(), "{}", gema.log());
}

/// "Reconnect at once" would be taken literally during a handshake, hundreds of times a second.
#[tokio::test]
async fn a_handshake_under_way_at_the_end_is_refused_with_4100() {
    let mut gema = Setup::broadcast().start().await;
    let before = gema.open_files();
    let mut stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let request = handshake(&gema.target(), "");
    let (begin, rest) = request.split_at(60);
    stream.write_all(begin.as_bytes()).await.expect("the server reads");
    let start = Instant::now();
    let patient = || assert!(start.elapsed() < PATIENCE, "the server does not come so far:\n{}", gema.log());
    let peer = stream.local_addr().expect("a connected socket");
    // Only what has been read is a handshake under way: an idle connection is simply closed.
    while gema.open_files() == before || gema.unread(peer) != Some(0) {
        patient();
        tokio::task::yield_now().await;
    }
    gema.terminate();
    while TcpStream::connect(gema.broadcast).await.is_ok() {
        patient();
    }
    let mut wire = Wire::over(stream, rest.as_bytes()).await;
    let Seen::Text(error) = wire.next().await else { panic!("an error event was due") };
    assert!(error.contains("pusher:error") && error.contains("4100"), "{error}");
    assert_eq!(wire.next().await, Seen::Close(Some(4100), "Server is over capacity".to_owned()));
    drop(wire);
    assert!(gema.ended().await.success(), "{}", gema.log());
}

/// A time that no test waits for in full.
const LONG: &str = "60";

#[tokio::test]
async fn clients_are_sent_away_evenly_and_requests_are_answered_meanwhile() {
    const CLIENTS: u32 = 15;
    let setup = Setup::broadcast().env("GEMA_DRAIN_SECONDS", "3").env("GEMA_METRICS_PORT", "0");
    let mut gema = setup.start().await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(gema.subscriber("room").await);
    }
    let (mut asking, mut publishing) =
        (Raw::connect(gema.broadcast).await, Raw::connect(gema.broadcast).await);
    let event = r#"{"name":"e","channels":["room"],"data":"x"}"#;
    let target = gema.api().target("POST", "/events", &[], event.as_bytes());
    // Both connections are known to the server, not only to the kernel.
    for raw in [&mut asking, &mut publishing] {
        raw.send(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 200);
    }
    let start = Instant::now();
    gema.terminate();
    let mut closings = JoinSet::new();
    for mut client in clients {
        closings.spawn(async move {
            let code = client.closed().await.0;
            (code, start.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(closing) = closings.join_next().await {
        let (code, time) = closing.expect("no panic");
        assert_eq!(code, 4200, "pusher-js returns at once on this code");
        times.push(time);
        if times.len() == 1 {
            assert_eq!(gema.metrics().await.get("gema_draining"), 1.0);
            assert!(TcpStream::connect(gema.broadcast).await.is_err(), "the listener closes first");
            asking.send(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").await;
            let answer = asking.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (503, "close"), "{}", answer.body);
            publishing.send_head("POST", &target, &[&format!("Content-Length: {}", event.len())]).await;
            publishing.send(event.as_bytes()).await;
            let answer = publishing.answer().await;
            assert_eq!((answer.status, answer.header("connection")), (200, "close"), "{}", answer.body);
        }
    }
    times.sort();
    for (turn, time) in (0..).zip(&times) {
        assert!(*time >= Duration::from_secs(3) / CLIENTS * turn, "too early: {times:?}");
    }
    assert!(gema.ended().await.success(), "{}", gema.log());
    let last = gema.log().lines().last().map(str::to_owned).expect("a log");
    let expected = "broadcast server stopped; connections closed: 15, gone before their turn: 0, cut: 0; events that \
                    other servers will not get: 0; after ";
    assert!(last.starts_with(expected), "{last}");
}

#[tokio::test]
async fn a_server_that_nobody_is_left_on_ends_at_once() {
    let setup = || Setup::broadcast().env("GEMA_DRAIN_SECONDS", LONG).start();
    let (mut empty, mut left) = tokio::join!(setup(), setup());
    empty.terminate();
    assert!(empty.ended().await.success(), "{}", empty.log());

    let (mut first, mut second) = (left.client().await, left.client().await);
    left.terminate();
    // One of them goes first; the other's turn would come after half the time.
    let other = tokio::select! {
        (code, _) = first.closed() => { assert_eq!(code, 4200); second }
        (code, _) = second.closed() => { assert_eq!(code, 4200); first }
    };
    drop(other);
    assert!(left.ended().await.success(), "{}", left.log());
    let log = left.log();
    assert!(log.contains("connections closed: 1, gone before their turn: 1, cut: 0;"), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut gema = Setup::broadcast().env("GEMA_DRAIN_SECONDS", LONG).start().await;
    let mut clients = [gema.client().await, gema.client().await];
    let [first, second] = &mut clients;
    gema.terminate();
    tokio::select! {
        (code, _) = first.closed() => assert_eq!(code, 4200),
        (code, _) = second.closed() => assert_eq!(code, 4200),
    }
    gema.terminate();
    assert_eq!(gema.ended().await.code(), Some(1), "{}", gema.log());
}

/// A balancer must not repeat a POST: what it sent just before the listener closed has to be answered.
#[tokio::test]
async fn requests_that_wait_to_be_accepted_when_the_end_begins_are_answered() {
    let mut gema = Setup::broadcast().start().await;
    gema.signal(Signal::STOP);
    let event = r#"{"name":"e","channels":["room"],"data":"x"}"#;
    let target = gema.api().target("POST", "/events", &[], event.as_bytes());
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(gema.broadcast).await;
        raw.send_head("POST", &target, &[&format!("Content-Length: {}", event.len())]).await;
        raw.send(event.as_bytes()).await;
        waiting.push(raw);
    }
    gema.terminate();
    gema.signal(Signal::CONT);
    for raw in &mut waiting {
        assert_eq!(raw.answer().await.status, 200);
    }
    assert!(gema.ended().await.success(), "{}", gema.log());
}
