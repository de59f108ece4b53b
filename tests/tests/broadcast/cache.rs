//! Cache channels: the last event is for those who come later.

use gema_tests::{Client, Gema, Setup};
use serde_json::json;

const KINDS: [&str; 4] = ["cache-x", "private-cache-x", "private-encrypted-cache-x", "presence-cache-x"];

/// A new subscriber that has read its confirmation.
async fn newcomer(gema: &Gema, channel: &str) -> Client {
    let mut client = gema.client().await;
    let data = channel.starts_with("presence-").then_some(r#"{"user_id":"1"}"#);
    client.ask_signed(&gema.app, channel, data).await;
    client.expect("pusher_internal:subscription_succeeded").await;
    client
}

#[tokio::test]
async fn the_last_event_is_kept_whether_or_not_anybody_is_there() {
    let gema = Setup::broadcast().start().await;
    for channel in KINDS {
        let mut early = newcomer(&gema, channel).await;
        assert_eq!(
            early.frame().await.text,
            format!(r#"{{"event":"pusher:cache_miss","channel":"{channel}"}}"#)
        );
        early.nothing_came().await;
        drop(early);
        gema.api().publish(channel, "old", "1").await;
        gema.api().publish(channel, "App\\Events\\New", r#"{"n": 2}"#).await;
        let kept = format!(r#"{{"event":"App\\Events\\New","channel":"{channel}","data":"{{\"n\": 2}}"}}"#);
        for _ in 0..2 {
            let mut client = newcomer(&gema, channel).await;
            assert_eq!(client.frame().await.text, kept);
            client.nothing_came().await;
        }
    }
}

#[tokio::test]
async fn other_channels_keep_nothing_and_miss_nothing() {
    let gema = Setup::broadcast().start().await;
    for channel in ["cached", "private-cachex", "my-cache-x", "private-x"] {
        gema.api().publish(channel, "e", "x").await;
        newcomer(&gema, channel).await.nothing_came().await;
    }
}

#[tokio::test]
async fn a_repeated_subscription_gets_the_event_again() {
    let gema = Setup::broadcast().start().await;
    gema.api().publish("cache-x", "e", "1").await;
    let mut client = newcomer(&gema, "cache-x").await;
    client.expect("e").await;
    client.subscribe("cache-x", "").await;
    client.expect("e").await;
    client.nothing_came().await;
}

#[tokio::test]
async fn an_event_is_kept_also_if_its_own_sender_is_left_out_and_in_a_batch() {
    let gema = Setup::broadcast().start().await;
    let mut sender = newcomer(&gema, "cache-x").await;
    sender.expect("pusher:cache_miss").await;
    let item = |name: &str, channel: &str| json!({"name": name, "channel": channel, "data": "x", "socket_id": sender.socket_id});
    let batch =
        json!({"batch": [item("first", "cache-x"), item("second", "cache-x"), item("third", "cache-y")]});
    gema.api().post("/batch_events", &batch).await.ok();
    sender.nothing_came().await;
    newcomer(&gema, "cache-x").await.expect("second").await;
    newcomer(&gema, "cache-y").await.expect("third").await;
}

#[tokio::test]
async fn what_is_refused_is_not_kept() {
    let gema = Setup::broadcast().start().await;
    gema.api().publish("cache-x", "good", "x").await;
    for body in [
        json!({"name": "pusher_internal:member_removed", "channel": "cache-x", "data": "x"}),
        json!({"name": "bad", "channels": ["cache-x", "not legal"], "data": "x"}),
        json!({"name": "bad", "channel": "cache-x", "data": "x".repeat(10_241)}),
    ] {
        assert!(gema.api().post("/events", &body).await.status >= 400);
    }
    newcomer(&gema, "cache-x").await.expect("good").await;
}

#[tokio::test]
async fn a_query_shows_the_event_and_how_long_it_is_kept() {
    let gema = Setup::broadcast().start().await;
    let asked = [("info", "cache")];
    for channel in KINDS {
        let path = format!("/channels/{channel}");
        let empty = json!({"occupied": false, "cache": null});
        assert_eq!(gema.api().get(&path, &asked).await.ok(), empty);
        gema.api().publish(channel, "e", "data").await;
        let answer = gema.api().get(&path, &asked).await.ok();
        assert_eq!(answer["cache"]["data"], "data");
        let ttl = answer["cache"]["ttl"].as_u64().expect("whole seconds");
        assert!(ttl <= 30 * 60 && ttl > 0, "{ttl}");
    }
}

#[tokio::test]
async fn whoever_joins_while_events_come_gets_each_once_and_in_order() {
    const EVENTS: u32 = 150;
    let gema = std::sync::Arc::new(Setup::broadcast().start().await);
    let publisher = gema.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..EVENTS {
            publisher.api().publish("cache-x", "e", &number.to_string()).await;
        }
    });
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = newcomer(&gema, "cache-x").await;
        let kept = client.frame().await;
        let due = match kept.data.as_str() {
            Some(number) => number.parse::<u32>().expect("a number") + 1,
            None => 0,
        };
        clients.push((client, due));
    }
    publishing.await.expect("every event is published");
    for (mut client, due) in clients {
        for number in due..EVENTS {
            assert_eq!(client.frame().await.data, json!(number.to_string()), "the kept event was {due} - 1");
        }
        client.nothing_came().await;
    }
}
