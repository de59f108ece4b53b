//! What a node's own clients notice of a Redis that is gone, silent or far away: nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Client, Gema, Metrics, Setup, figure};
use serde_json::json;

use crate::stage::{Fault, Stage, long, percentile};

/// Of an answer or a delivery: a second, and five times as much on a busy machine.
const AT_MOST: Duration = Duration::from_secs(5);
/// Of what may wait for Redis at all: 250 ms, and five times as much on a busy machine.
const WAIT: Duration = Duration::from_millis(5 * 250);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_redis() {
    let faults = [Fault::BothCut, Fault::BothSilent, Fault::BothFar, Fault::RedisEmpty];
    if !long() {
        join_all(faults.map(serve_through)).await;
        return;
    }
    // One after the other, for the sake of the figures.
    for fault in faults {
        serve_through(fault).await;
    }
}

async fn serve_through(fault: Fault) {
    let mut stage = Stage::start_as(Setup::broadcast().env("GEMA_METRICS_PORT", "0"), None).await;
    stage.linked().await;
    let healthy = deliveries(&stage.a).await;
    stage.strike(fault).await;
    // Before the node can have noticed.
    let first = join(&stage.a, "first").await;
    assert!(first < WAIT, "{fault:?}: the first join took {first:?}");
    let struck = deliveries(&stage.a).await;
    figure(&format!(
        "{fault:?}: POST and delivery p50 {:.1} ms, p99 {:.1} ms; healthy {:.1} and {:.1}: ratio of p99 {:.2}",
        struck.0,
        struck.1,
        healthy.0,
        healthy.1,
        struck.1 / healthy.1
    ));
    if fault == Fault::BothFar {
        // The link may stand: it is slow, not broken.
        let second = join(&stage.a, "second").await;
        assert!(second < WAIT, "{fault:?}: a join took {second:?}");
    } else {
        let unlinked = |metrics: &Metrics| metrics.get(&linked(&stage.a)) == 0.0;
        stage.a.metrics_when(unlinked).await;
        joins_do_not_wait(&stage.a, fault).await;
    }
    refuses_to_confirm(&stage.a, fault).await;
    stage.nothing_is_wrong(&format!("{fault:?}"));
}

/// The metric that says whether a node has a link.
fn linked(node: &Gema) -> String {
    format!("gema_cluster_linked{{app=\"{}\"}}", node.app.id)
}

/// p50 and p99 in milliseconds of a publish until its answer and its delivery on the same node.
async fn deliveries(node: &Gema) -> (f64, f64) {
    let mut client = node.subscriber("local").await;
    let mut times = Vec::new();
    for number in 0..if long() { 1_000 } else { 100 } {
        let start = Instant::now();
        node.api().publish("local", "n", &number.to_string()).await;
        client.expect("n").await;
        times.push(start.elapsed());
    }
    let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    let longest = times.last().expect("times");
    assert!(*longest < AT_MOST, "a publish and its delivery took {longest:?}");
    (p50, p99)
}

async fn join(node: &Gema, channel: &str) -> Duration {
    let mut client = node.client().await;
    let start = Instant::now();
    client.subscribe(channel, "").await;
    start.elapsed()
}

/// Twenty of everything take less than twenty waits of 250 ms would: half of that, where they take a twentieth usually.
async fn joins_do_not_wait(node: &Gema, fault: Fault) {
    let mut client = node.user(r#"{"id":"ann"}"#).await;
    let start = Instant::now();
    for number in 0..20 {
        client.subscribe(&format!("public-{number}"), "").await;
        present(&mut client, node, number).await;
        node.api().get(&format!("/channels/public-{number}"), &[]).await.ok();
    }
    let took = start.elapsed();
    assert!(took < 20 * 3 * Duration::from_millis(250) / 2, "{fault:?}: twenty joins took {took:?}");
}

async fn present(client: &mut Client, node: &Gema, number: usize) {
    client.join(&node.app, &format!("presence-{number}"), r#"{"user_id":"ann"}"#).await;
}

/// 503 with `Retry-After`, and soon.
async fn refuses_to_confirm(node: &Gema, fault: Fault) {
    let start = Instant::now();
    let body = json!({"name": "e", "channels": ["c"], "data": ""});
    let answer = node.api().post_confirmed("/events", &body).await;
    let took = start.elapsed();
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{fault:?}: {}", answer.body);
    figure(&format!("{fault:?}: an event is not confirmed after {:.2} s", took.as_secs_f64()));
    assert!(took < 5 * Duration::from_secs(2), "{fault:?}: refused after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_redis_serves_from_its_start() {
    let mut stage = Stage::start_as(Setup::broadcast(), Some(Fault::RedisEmpty)).await;
    let (p50, p99) = deliveries(&stage.a).await;
    figure(&format!("Redis absent at start: POST and delivery p50 {p50:.1} ms, p99 {p99:.1} ms"));
    joins_do_not_wait(&stage.a, Fault::RedisEmpty).await;
    refuses_to_confirm(&stage.a, Fault::RedisEmpty).await;
    stage.nothing_is_wrong("Redis absent at start");
}
