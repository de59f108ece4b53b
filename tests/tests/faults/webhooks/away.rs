//! Webhooks while Redis is away: those for which there is no room, or which waited for five minutes, are counted as lost.

use std::time::Duration;

use gema_tests::{Cut, Gema, PATIENCE, Receiver, Redis, Setup, figure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::BackEnd;
use crate::stage::{linked, listener, long};

/// How many client events there are, how large and how far apart.
struct Flood {
    events: usize,
    bytes: usize,
    pause: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_cannot_wait_for_redis_are_counted() {
    // Six megabytes of client events may wait.
    let too_much = Flood { events: 800, bytes: 9_000, pause: Duration::ZERO };
    let for_too_long = Flood { events: 340, bytes: 10, pause: Duration::from_secs(1) };
    let in_life = async {
        if long() {
            lost(&for_too_long, "for 340 s").await;
        }
    };
    tokio::join!(lost(&too_much, "with more webhooks than may wait"), in_life);
}

/// The sum of all webhooks that a node says it dropped.
fn logged(node: &Gema) -> usize {
    let events = |line: &str| {
        let (_, rest) = line.split_once("webhook events dropped")?.1.split_once("events=")?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    node.log().lines().filter_map(events).sum()
}

async fn lost(flood: &Flood, name: &str) {
    let (redis, hooks) = (Redis::start().await, Receiver::start().await);
    let wire = Cut::before(&redis);
    let setup = Setup::broadcast().node(&wire.url()).env("REVERB_APP_WEBHOOK_URL", &hooks.url());
    let node = setup.env("GEMA_METRICS_PORT", "0").start().await;
    linked(&node).await;
    let mut back_end = BackEnd::new(hooks, &node.app);
    let mut sender = node.subscriber("private-room").await;
    back_end.hears(&["channel_occupied private-room"]).await;

    wire.cut();
    let late = listener(&node, "late").await;
    for number in 0..flood.events {
        let data = format!("{number} {}", "x".repeat(flood.bytes));
        sender.send("client-n", json!(data), Some("private-room")).await;
        sleep(flood.pause).await;
    }
    sender.nothing_came().await;
    wire.heal();

    let series = |name: &str| format!("gema_webhook_events_{name}{{app=\"{}\"}}", node.app.id);
    node.metrics_when(|page| page.get(&series("waiting")) < 0.5).await;
    sender.send("client-n", json!("last"), Some("private-room")).await;
    back_end.until("the last", |back_end| numbers_of(back_end).last() == Some(&None)).await;
    let numbers = numbers_of(&back_end);
    back_end.hears(&["channel_occupied late"]).await;
    is_counted(&node, flood, &numbers[..numbers.len() - 1], &series("dropped_total"), name).await;
    let late_events = back_end.of("late");
    assert_eq!(late_events.iter().filter(|event| *event == "channel_occupied").count(), 1, "{late_events:?}");
    drop(late);
}

/// The numbers that have come, in order; `None` stands for the last event.
fn numbers_of(back_end: &BackEnd) -> Vec<Option<usize>> {
    let sent = back_end.events.iter().filter(|event| event["name"] == "client_event");
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok());
    sent.map(|event| number(event["data"].as_str().expect("text"))).collect()
}

/// As many are counted as are missing, in the metrics and in the log.
async fn is_counted(node: &Gema, flood: &Flood, came: &[Option<usize>], series: &str, name: &str) {
    let lost = flood.events - came.len();
    assert!(came.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {came:?}");
    assert!(lost > 0 && !came.is_empty(), "{name}: {lost} are lost, {} came", came.len());
    let metrics = node.metrics_when(|page| page.get(series) > lost as f64 - 0.5).await;
    assert!(metrics.get(series) < lost as f64 + 0.5, "{name}: {lost} are lost: {metrics:#?}");
    let start = Instant::now();
    while logged(node) < lost {
        assert!(start.elapsed() < PATIENCE, "{name}: {lost} are lost:\n{}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(logged(node), lost, "{name}:\n{}", node.log());
    figure(&format!(
        "Redis away {name}: {} webhooks, {} delivered late, {lost} lost, {} counted as lost",
        flood.events,
        came.len(),
        logged(node)
    ));
}
