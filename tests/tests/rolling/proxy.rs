//! What nginx does with requests that a server did not answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gema_tests::{Nginx, Setup, request};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Servers that read a request and hang up.
struct Broken {
    at: Vec<SocketAddr>,
    requests: Arc<AtomicUsize>,
    _servers: JoinSet<()>,
}

impl Broken {
    async fn start(count: usize) -> Self {
        let mut broken = Self { at: Vec::new(), requests: Arc::default(), _servers: JoinSet::new() };
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            broken.at.push(listener.local_addr().expect("a bound socket"));
            broken._servers.spawn(hang_up(listener, broken.requests.clone()));
        }
        broken
    }

    /// The requests since the last call.
    fn take(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

async fn hang_up(listener: TcpListener, requests: Arc<AtomicUsize>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        // Counted before nginx can see the end.
        if socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
            requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_repeated_only_with_a_key() {
    let key: &[_] = &[("idempotency-key", "3f1c")];
    let cases: [(&str, &str, &[_], usize); 7] = [
        ("POST", "/api/attendances/check-in", &[], 1),
        ("POST", "/api/attendances/check-in", key, 4),
        ("POST", "/api/attendances/check-out", key, 1),
        ("POST", "/api/logout", &[], 1),
        ("GET", "/api/attendances", &[], 4),
        ("POST", "/apps/1/events?auth_key=k", &[], 1),
        ("GET", "/apps/1/channels?auth_key=k", &[], 4),
    ];
    let (broadcast, attendance) = (Broken::start(2).await, Broken::start(2).await);
    // Four: each server, and each once more, as its own backup.
    for (method, target, headers, expected) in cases {
        // A new one each time: it remembers for a while which servers have failed.
        let nginx = Nginx::start(&broadcast.at, &attendance.at).await;
        let answer = request(nginx.at, method, target, headers, b"").await;
        assert_eq!(answer.status, 502, "{method} {target}");
        assert_eq!(broadcast.take() + attendance.take(), expected, "{method} {target} {headers:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_costs_no_request_and_no_client() {
    let gema = Setup::broadcast().start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone_at = gone.local_addr().expect("a bound socket");
    drop(gone);
    let nginx = Nginx::start(&[gone_at, gema.broadcast], &[gone_at]).await;
    let mut api = gema.api();
    api.at = nginx.at;
    let mut client = gema.subscriber_at(nginx.at, "room").await;
    for number in 0..20 {
        api.publish("room", "e", &number.to_string()).await;
        assert_eq!(client.expect("e").await.data, number.to_string());
    }
    let (log, both) = (nginx.log(), format!("{gone_at}, {}", gema.broadcast));
    assert!(log.contains(&format!("to {}", gema.broadcast)) && log.contains(&both), "{log}");
    assert!(!log.contains("auth_signature"), "{log}");
}
