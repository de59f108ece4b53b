//! Client events, excluded sockets and cache channels mean the same on every node, also when they come late.

use std::time::{Duration, Instant};

use gema_tests::{Client, PATIENCE, Recorder};
use serde_json::json;
use tokio::time::sleep;

use crate::stage::{Fault, Stage, listener, long};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_everybody_is_replayed_to_the_right_ones() {
    let mut stage = Stage::start().await;
    let (mut sender, at_a) =
        tokio::join!(stage.a.subscriber("private-room"), listener(&stage.a, "private-room"));
    let (at_b, excluded) =
        tokio::join!(listener(&stage.b, "private-room"), listener(&stage.b, "private-room"));
    stage.strike(Fault::BothCut).await;
    sleep(Duration::from_secs(if long() { 30 } else { 1 })).await;
    sender.send("client-typing", json!("typing"), Some("private-room")).await;
    sender.nothing_came().await;
    publish(&stage, &excluded.socket_id).await;
    stage.heal(Fault::BothCut).await;

    for recorder in [&at_a, &at_b, &excluded] {
        recorder.until_text("last", "").await;
    }
    let heard =
        |recorder: &Recorder| ["client-typing", "one", "batched", "last"].map(|e| recorder.texts(e).len());
    assert_eq!([&at_a, &at_b, &excluded].map(heard), [[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1]]);
    sender.expect("one").await;
    stage.nothing_is_wrong("exclusion");
}

/// One event and a batch that are not for one socket, and one for all.
async fn publish(stage: &Stage, except: &str) {
    let api = stage.a.api();
    let one = json!({"name": "one", "channels": ["private-room"], "data": "", "socket_id": except});
    api.post("/events", &one).await.ok();
    let batched = json!({"name": "batched", "channel": "private-room", "data": "", "socket_id": except});
    api.post("/batch_events", &json!({"batch": [batched]})).await.ok();
    api.publish("private-room", "last", "").await;
}

/// The event that a client of a cache channel is sent first.
async fn cached(mut client: Client) -> String {
    client.expect("e").await.data.as_str().expect("text").to_owned()
}

async fn cached_at(stage: &Stage, channel: &str) -> (String, String) {
    let (at_a, at_b) = tokio::join!(stage.a.subscriber(channel), stage.b.subscriber(channel));
    tokio::join!(cached(at_a), cached(at_b))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_channel_has_one_last_event_whoever_is_asked() {
    let mut stage = Stage::start().await;
    let (at_a, at_b) = tokio::join!(listener(&stage.a, "cache-room"), listener(&stage.b, "cache-room"));
    stage.strike(Fault::BothCut).await;
    stage.b.api().publish("cache-room", "e", "of b").await;
    stage.a.api().publish("cache-room", "e", "of a").await;
    stage.a.api().publish("cache-unheld", "e", "of a").await;
    let (of_a, of_b) = cached_at(&stage, "cache-room").await;
    assert_eq!((&*of_a, &*of_b), ("of a", "of b"), "a node alone serves what it has");
    stage.heal(Fault::BothCut).await;
    tokio::join!(at_a.until_text("e", "of b"), at_b.until_text("e", "of a"));
    // The log decides which of the two is the last.
    let start = Instant::now();
    while let (of_a, of_b) = cached_at(&stage, "cache-room").await
        && of_a != of_b
    {
        assert!(start.elapsed() < PATIENCE, "a says {of_a:?}, b says {of_b:?}");
    }
    assert_eq!(cached(stage.b.subscriber("cache-unheld").await).await, "of a");
    stage.nothing_is_wrong("cache channels");
}
