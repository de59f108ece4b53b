//! A client that does not read costs a bounded amount of memory, then its connection; the others never notice.

use gema_tests::{Authority, Setup};
use serde_json::json;
use tokio::net::TcpSocket;

const BATCH: usize = 40;
const DATA: usize = 10_000;

/// 40 MB fill the kernel's buffers on both sides and any queue of a few megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_closed_and_the_others_are_complete() {
    one_stops_reading(Setup::broadcast(), 40_000_000, 24_000_000).await;
}

/// Less of it, for ciphers are slow where nothing is optimised.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_closed_and_the_others_are_complete_over_tls() {
    let authority = Authority::new();
    let setup = Setup::broadcast().tls(&authority, &authority.issue("server"));
    one_stops_reading(setup, 16_000_000, 12_000_000).await;
}

/// `sent` bytes are published in all; the server may grow by `bound` for the one that does not read them.
async fn one_stops_reading(setup: Setup, sent: usize, bound: u64) {
    // The healthy one only listens, on a slow machine longer than it takes to be asked whether it lives.
    let gema = setup.env("REVERB_APP_PING_INTERVAL", "3600").start().await;
    let mut healthy = gema.subscriber("room").await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let stream = socket.connect(gema.broadcast).await.expect("the server listens");
    let mut stuck = gema.client_over(stream).await;
    stuck.subscribe("room", "").await;
    let before = gema.resident_bytes();

    let mut most = before;
    for first in (0..sent / DATA).step_by(BATCH) {
        let text = |number| format!("{number:0DATA$}");
        let item = |number| json!({"name": "e", "channel": "room", "data": text(number)});
        let batch: Vec<_> = (first..first + BATCH).map(item).collect();
        gema.api().post("/batch_events", &json!({"batch": batch})).await.ok();
        for number in first..first + BATCH {
            assert_eq!(healthy.expect("e").await.data, json!(text(number)));
        }
        most = most.max(gema.resident_bytes());
    }
    healthy.nothing_came().await;
    let grown = most.saturating_sub(before);
    assert!(grown < bound, "{grown} bytes more for one client that does not read {sent}");

    let start = std::time::Instant::now();
    while gema.api().get("/connections", &[]).await.ok() != json!({"connections": 1}) {
        assert!(start.elapsed() < gema_tests::PATIENCE, "the stuck connection is never closed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
