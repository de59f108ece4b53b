//! `/metrics`: the text keeps the rules, and its numbers are those of the traffic that the test has made.

use std::collections::BTreeMap;
use std::fs;

use gema_tests::{Client, Frame, Metrics, Receiver, Redis, Setup, request};
use serde_json::json;
use tokio::net::TcpListener;

fn measured() -> Setup {
    Setup::broadcast().env("GEMA_METRICS_PORT", "0")
}

/// A server that shares channels over a Redis at this URL.
fn shared(url: &str) -> Setup {
    measured().env("REVERB_SCALING_ENABLED", "true").env("REDIS_URL", url)
}

/// A series of the kit's app with more labels: `of("gema_x", ",kind=\"public\"")`.
fn of(name: &str, labels: &str) -> String {
    format!("{name}{{app=\"424242\"{labels}}}")
}

/// What several series of the app are.
fn all(metrics: &Metrics, names: &[&str]) -> Vec<f64> {
    names.iter().map(|name| metrics.get(&of(name, ""))).collect()
}

/// What a short frame takes on the wire: two bytes of header, as its text is shorter than 126.
fn frame_bytes(frame: &Frame) -> f64 {
    (frame.text.len() + 2) as f64
}

/// The URL of a Redis that is not there.
async fn nowhere() -> String {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("redis://{}", free.local_addr().expect("a bound socket"))
}

#[tokio::test]
async fn without_a_port_there_are_none() {
    let gema = Setup::broadcast().start().await;
    assert!(!gema.log().contains("metrics on"), "{}", gema.log());
    assert_eq!(request(gema.broadcast, "GET", "/metrics", &[], b"").await.status, 404);
}

#[tokio::test]
async fn what_is_there_and_what_has_happened() {
    let gema = measured().start().await;
    let mut room = [gema.subscriber("room").await, gema.subscriber("room").await];
    let mut private = gema.subscriber("private-a").await;
    room[0].send_text("no message").await;
    room[0].expect_error().await;
    let mut stranger = Client::open(gema.broadcast, "/app/unknown?protocol=7", &[]).await;
    assert_eq!(stranger.closed().await.0, 4001);
    let mut bytes = 0.0;
    for data in ["first", "second"] {
        let event = json!({"name": "e", "channels": ["room", "private-a"], "data": data});
        gema.api().post("/events", &event).await.ok();
        for client in room.iter_mut().chain([&mut private]) {
            bytes += frame_bytes(&client.expect("e").await);
        }
    }
    // To all but one, so that a subscriber gets a buffer of its own.
    let event = json!({"name": "e", "channels": ["room"], "data": "", "socket_id": room[0].socket_id});
    gema.api().post("/events", &event).await.ok();
    bytes += frame_bytes(&room[1].expect("e").await);
    request(gema.broadcast, "GET", "/nowhere/1", &[], b"").await;
    request(gema.broadcast, "GET", "/nowhere/2", &[], b"").await;

    let metrics = gema.metrics().await;
    let traffic = [
        "gema_connections",
        "gema_connections_opened_total",
        "gema_messages_received_total",
        "gema_messages_refused_total",
    ];
    assert_eq!(all(&metrics, &traffic), [3.0, 3.0, 4.0, 1.0]);
    assert_eq!(all(&metrics, &["gema_events_published_total", "gema_events_delivered_total"]), [5.0, 7.0]);
    for (name, of_public, of_private) in [("gema_channels", 1.0, 1.0), ("gema_subscriptions", 2.0, 1.0)] {
        assert_eq!(metrics.get(&of(name, ",kind=\"public\"")), of_public);
        assert_eq!(metrics.get(&of(name, ",kind=\"private\"")), of_private);
    }
    let requests = |route: &str, status: u16| {
        metrics.get(&format!("gema_http_requests_total{{route=\"{route}\",status=\"{status}\"}}"))
    };
    assert_eq!(requests("/apps/{id}/events", 200), 3.0);
    assert_eq!(requests("/app/{key}", 101), 4.0);
    assert_eq!(requests("other", 404), 2.0);
    assert_eq!(metrics.get("gema_connections_refused_total{code=\"4001\"}"), 1.0);
    assert_eq!(all(&metrics, &["gema_events_delivered_bytes_total"]), [bytes]);

    drop((room, private));
    let metrics = gema.metrics_when(|metrics| metrics.get(&of("gema_connections", "")) == 0.0).await;
    assert_eq!(metrics.series("gema_channels"), Vec::<&str>::new());
    assert_eq!(all(&metrics, &["gema_connections_opened_total"]), [3.0]);
}

/// What monitors alert on must say what the kernel says.
#[tokio::test]
async fn the_process_is_measured_as_the_kernel_does() {
    let gema = measured().start().await;
    let _clients = [gema.client().await, gema.client().await];
    let metrics = gema.metrics().await;
    let (told, seen) = (metrics.get("process_open_fds"), gema.open_files());
    // The connection of the request itself may be closed by now.
    assert!((told - seen as f64).abs() <= 2.0, "{told} {seen}");
    let (told, seen) = (metrics.get("process_resident_memory_bytes"), gema.resident_bytes() as f64);
    assert!(told > seen * 0.5 && told < seen * 2.0, "{told} {seen}");
    assert!(metrics.get("process_max_fds") >= 1_024.0);
    let age = gema_tests::now() as f64 - metrics.get("process_start_time_seconds");
    assert!((-5.0..600.0).contains(&age), "{age}");
}

#[tokio::test]
async fn events_that_never_reach_other_servers_are_counted_and_the_server_is_ready_all_the_same() {
    let limit = 2_000;
    let gema = shared(&nowhere().await).env("GEMA_OUTGOING_BYTES", &limit.to_string()).start().await;
    let mut client = gema.subscriber("room").await;
    let mut fit = 0;
    for _ in 0..30 {
        gema.api().publish("room", "e", "data").await;
        // Each event takes its text and 96 bytes.
        fit = limit / (client.expect("e").await.text.len() + 96);
    }
    let metrics = gema.metrics().await;
    let counts =
        ["gema_cluster_waiting_events", "gema_cluster_events_lost_total", "gema_events_delivered_total"];
    assert_eq!(all(&metrics, &counts), [fit as f64, 30.0 - fit as f64, 30.0]);
    assert!(metrics.get(&of("gema_cluster_waiting_bytes", "")) <= limit as f64);
    assert_eq!(all(&metrics, &["gema_cluster_linked", "gema_cluster_events_told_total"]), [0.0, 0.0]);
    let ready = request(gema.broadcast, "GET", "/ready", &[], b"").await;
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "degraded", "redis": "away"})));
}

#[tokio::test]
async fn what_servers_tell_each_other_and_their_webhooks_is_counted_where_it_happens() {
    let (redis, hooks) =
        (Redis::start().await, Receiver::answering(|number, _| Some([500, 200][number.min(1)])).await);
    let (a, b) = tokio::join!(
        shared(&redis.url()).start(),
        shared(&redis.url())
            .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
            .env("REVERB_APP_WEBHOOK_EVENTS", "channel_occupied")
            .start()
    );
    for gema in [&a, &b] {
        gema.metrics_when(|metrics| metrics.get(&of("gema_cluster_linked", "")) == 1.0).await;
    }
    let mut client = b.subscriber("room").await;
    for _ in 0..5 {
        a.api().publish("room", "e", "data").await;
        client.expect("e").await;
    }
    a.metrics_when(|metrics| metrics.get(&of("gema_cluster_events_told_total", "")) == 5.0).await;
    let metrics = b.metrics().await;
    let heard =
        ["gema_cluster_events_heard_total", "gema_cluster_events_told_total", "gema_events_published_total"];
    assert_eq!(all(&metrics, &heard), [5.0, 0.0, 0.0]);
    assert_eq!(
        all(&metrics, &["gema_cluster_events_lost_total", "gema_cluster_events_missed_total"]),
        [0.0, 0.0]
    );
    let ready = request(b.metrics_at(), "GET", "/ready", &[], b"").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"status":"ok"}"#));
    let sent = |metrics: &Metrics| metrics.get(&of("gema_webhook_events_sent_total", "")) == 1.0;
    let metrics = b.metrics_when(sent).await;
    let rest = [
        "gema_webhook_requests_failed_total",
        "gema_webhook_events_dropped_total",
        "gema_webhook_events_waiting",
    ];
    assert_eq!(all(&metrics, &rest), [1.0, 0.0, 0.0]);
    every_name_is_documented(&metrics, &attendance(&redis.url()).await);
}

/// What the roles of the attendance side show.
async fn attendance(redis_url: &str) -> Metrics {
    let gema = Setup::serve().env("GEMA_METRICS_PORT", "0").env("REDIS_URL", redis_url).start().await;
    assert_eq!(request(gema.web, "GET", "/up", &[], b"").await.status, 200);
    gema.metrics_when(|metrics| {
        ["gema_attendance_requests_total", "gema_outbox_waiting"]
            .iter()
            .all(|name| metrics.kinds.contains_key(*name))
    })
    .await
}

/// The page names every metric once, with its type, and no other.
fn every_name_is_documented(broadcast: &Metrics, attendance: &Metrics) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `").filter(|row| !row.starts_with('/')));
    let documented: Vec<_> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').expect("the end of a name");
            (
                name.split('{').next().expect("a name").to_owned(),
                rest.split('|').nth(1).expect("a type").trim().to_owned(),
            )
        })
        .collect();
    let mut sorted = documented.clone();
    sorted.sort();
    let kinds = [&broadcast.kinds, &attendance.kinds].into_iter().flatten();
    let served: BTreeMap<_, _> = kinds.map(|(name, kind)| (name.clone(), kind.clone())).collect();
    let served: Vec<_> = served.into_iter().collect();
    assert_eq!(sorted, served);
}
