//! What a node's clients do not want does not reach the node. And what it costs when it does.

use std::time::{Duration, Instant};

use gema_tests::{Gema, figure};
use serde_json::{Value, json};

use crate::stage::{Stage, listener, long, percentile};

/// Events of one request.
const BATCH: usize = 10;

/// What a node spends on its own while nothing happens, per second.
async fn idle(node: &Gema) -> Duration {
    let (start, spent) = (Instant::now(), node.cpu_time());
    tokio::time::sleep(Duration::from_secs(2)).await;
    (node.cpu_time() - spent).div_f64(start.elapsed().as_secs_f64())
}

async fn publish_all(node: &Gema, channel: &str, events: usize) {
    let event = json!({"name": "n", "channel": channel, "data": "0"});
    let batch = json!({"batch": vec![event; BATCH]});
    for _ in 0..events / BATCH {
        node.api().post("/batch_events", &batch).await.ok();
    }
}

/// Time per event that a node spent meanwhile, beyond what it spends anyway, in microseconds.
fn cost(node: &Gema, before: (Instant, Duration), idle: Duration, events: usize) -> f64 {
    let anyway = idle.mul_f64(before.0.elapsed().as_secs_f64());
    (node.cpu_time() - before.1).saturating_sub(anyway).as_secs_f64() * 1e6 / events as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_publish_costs_a_node_nothing() {
    let stage = Stage::start().await;
    let elsewhere = listener(&stage.b, "wanted").await;
    let idle = idle(&stage.b).await;
    let events = if long() { 100_000 } else { 5_000 };

    let before = (Instant::now(), stage.b.cpu_time());
    publish_all(&stage.a, "unwanted", events).await;
    let foreign = cost(&stage.b, before, idle, events);

    let before = (Instant::now(), stage.b.cpu_time());
    publish_all(&stage.a, "wanted", events).await;
    elsewhere.until("every event", gema_tests::PATIENCE, |came| came.len() >= events).await;
    let wanted = cost(&stage.b, before, idle, events);

    figure(&format!(
        "{events} events of another node: {foreign:.2} µs of a processor each where nobody wants them, {wanted:.1} µs where somebody does"
    ));
    // It does not arrive. What is measured is what a node does by itself, and that by far less exactly.
    assert!(foreign < 5.0 + wanted / 5.0, "{foreign} µs each, against {wanted} µs for what is wanted");
}

/// Figures, on an optimised build if `GEMA_BIN` names one: what another node adds to a delivery.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_adds_to_a_delivery() {
    if !long() {
        return;
    }
    let stage = Stage::start().await;
    for (name, node) in [("same node", &stage.a), ("other node", &stage.b)] {
        let channel = &*name.replace(' ', "-");
        let mut client = node.subscriber(channel).await;
        let mut times = Vec::new();
        for number in 0..2_000 {
            let start = Instant::now();
            stage.a.api().publish(channel, "n", &number.to_string()).await;
            assert_eq!(client.expect("n").await.data, Value::from(number.to_string()));
            times.push(start.elapsed());
        }
        let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        figure(&format!("publish at one node, heard at the {name}: p50 {p50:.2} ms, p99 {p99:.2} ms"));
    }
    per_delivery(&stage).await;
}

/// Processor time of all nodes for a delivery to each of a hundred clients.
async fn per_delivery(stage: &Stage) {
    const CLIENTS: usize = 100;
    const EVENTS: usize = 2_000;
    for (name, channel, node) in [("the same node", "near", &stage.a), ("the other node", "far", &stage.b)] {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(listener(node, channel).await);
        }
        let before = stage.a.cpu_time() + stage.b.cpu_time();
        publish_all(&stage.a, channel, EVENTS).await;
        for client in &clients {
            client.until("every event", gema_tests::PATIENCE, |came| came.len() >= EVENTS).await;
        }
        let spent = stage.a.cpu_time() + stage.b.cpu_time() - before;
        let each = spent.as_secs_f64() * 1e6 / (CLIENTS * EVENTS) as f64;
        figure(&format!(
            "{CLIENTS} clients of {name}: {each:.2} µs of a processor per delivery, all nodes together"
        ));
    }
}
