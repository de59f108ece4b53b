//! What cannot be kept is counted where it is lost: as many events as are missing, and said in the log.

use std::time::{Duration, Instant};

use gema_tests::{Gema, PATIENCE, Recorder, Said, Setup, Tally, figure};
use serde_json::json;
use tokio::time::sleep;

use crate::stage::{Fault, Publisher, Stage, listener, long, say};

/// A node that shows its metrics.
fn shown() -> Setup {
    Setup::broadcast().env("GEMA_METRICS_PORT", "0")
}

/// The sum of all events that a node says it lost.
fn counted(node: &Gema) -> usize {
    let log = node.log();
    let lines = log.lines().filter(|line| line.contains("lost: "));
    let events = |line: &str| {
        let (_, rest) = line.split_once("events=")?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    lines.filter_map(events).sum()
}

/// Waits until a node has counted as many as are missing.
async fn agree(node: &Gema, said: &[Said], at_b: &Recorder, healed: Instant, name: &str) {
    let start = Instant::now();
    let mut tally = Tally::of(said, &at_b.numbers("n"), healed);
    while counted(node) != tally.lost {
        assert!(
            start.elapsed() < PATIENCE,
            "{name}: {tally}, but {} are counted:\n{}",
            counted(node),
            node.log()
        );
        sleep(Duration::from_millis(50)).await;
        tally = Tally::of(said, &at_b.numbers("n"), healed);
    }
    figure(&format!("{name}: {tally}; {} counted as lost", counted(node)));
    let metrics = node.metrics().await;
    let of =
        |name: &str| metrics.get(&format!("gema_cluster_events_{name}_total{{app=\"{}\"}}", node.app.id));
    assert!((of("lost") + of("missed") - tally.lost as f64).abs() < 0.5, "{name}: {metrics:?}");
    assert!(tally.lost > 0 && (tally.twice, tally.swapped) == (0, 0), "{name}: {tally}");
}

/// Publishes further numbers until the cluster takes one; those before it may be lost, too.
async fn say_until_confirmed(node: &Gema, said: &mut Vec<Said>) -> String {
    let start = Instant::now();
    loop {
        let (from, number) = (Instant::now(), said.len());
        let body = json!({"name": "n", "channels": ["room"], "data": number.to_string()});
        let answer = node.api().post_confirmed("/events", &body).await;
        said.push(Said { number, from, to: Instant::now() });
        if answer.status == 200 {
            return number.to_string();
        }
        assert!(start.elapsed() < PATIENCE, "no link to Redis:\n{}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_the_buffer_is_counted() {
    let setup = shown().env("GEMA_OUTGOING_BYTES", "20000");
    let mut stage = Stage::start_as(setup, None).await;
    stage.linked().await;
    let at_b = listener(&stage.b, "room").await;
    stage.strike(Fault::PublisherCut).await;
    let mut said = Vec::new();
    for number in 0..300 {
        said.push(say(&stage.a.api(), "room", number).await);
    }
    stage.heal(Fault::PublisherCut).await;
    let healed = Instant::now();
    let last = say_until_confirmed(&stage.a, &mut said).await;
    at_b.until_text("n", &last).await;
    agree(&stage.a, &said, &at_b, healed, "buffer full during a cut").await;
    assert!(stage.a.is_alive() && stage.b.is_alive());
}

/// Longer than anybody keeps events.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_counted() {
    if long() {
        tokio::join!(too_long(Fault::PublisherCut), too_long(Fault::SubscriberCut));
    }
}

async fn too_long(fault: Fault) {
    let mut stage = Stage::start_as(shown(), None).await;
    stage.linked().await;
    let at_b = listener(&stage.b, "room").await;
    let publisher = Publisher::start(stage.a.api(), "room");
    at_b.until("events before the fault", PATIENCE, |came| came.len() >= 10).await;
    stage.strike(fault).await;
    sleep(Duration::from_secs(100)).await;
    stage.heal(fault).await;
    let healed = Instant::now();
    sleep(Duration::from_secs(5)).await;
    let said = publisher.stop().await;
    at_b.until_text("n", &said.last().expect("events").number.to_string()).await;
    let loser = if fault == Fault::PublisherCut { &stage.a } else { &stage.b };
    agree(loser, &said, &at_b, healed, &format!("{fault:?} for 100 s")).await;
}
