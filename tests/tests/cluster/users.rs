//! Users over several servers: their connections are ended everywhere, and their events find them everywhere.

use std::time::Duration;

use gema_broadcast::{AppConfig, Webhook, WebhookUrl};
use gema_protocol::webhook::{Filter, Kind};
use gema_tests::{Client, Receiver, Redis};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::servers::{Node, pair, stop};

const OWN: &str = "#server-to-user-7";

async fn member(node: &Node, user: &str) -> Client {
    let mut client = node.client().await;
    client.join(&node.app, "presence-c", &json!({"user_id": user}).to_string()).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_connections_are_ended_on_every_node_and_nobody_elses() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut gone = [a.user(r#"{"id":"7"}"#).await, b.user(r#"{"id":"7"}"#).await, member(&b, "7").await];
    let mut stay = [a.user(r#"{"id":"77"}"#).await, b.user(r#"{"id":"77"}"#).await, b.client().await];
    assert_eq!(a.confirmed("/users/7/terminate_connections", &json!({})).await.ok(), json!({}));
    for client in &mut gone {
        assert_eq!(client.closed().await.0, 4009);
    }
    for client in &mut stay {
        client.nothing_came().await;
    }
    // Whoever comes afterwards is not meant.
    let mut later = b.user(r#"{"id":"7"}"#).await;
    b.publish_confirmed("linked", "e", "").await;
    later.nothing_came().await;
    drop((gone, stay, later));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_to_a_user_reach_every_node_in_order_also_after_a_cut() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.user(r#"{"id":"7"}"#).await, b.user(r#"{"id":"7"}"#).await);
    let mut other = b.user(r#"{"id":"77"}"#).await;
    at_a.subscribe(OWN, "").await;
    at_b.subscribe(OWN, "").await;
    for number in 0..20 {
        a.api().publish(OWN, "e", &number.to_string()).await;
    }
    redis.kill().await;
    for number in 20..40 {
        a.api().publish(OWN, "e", &number.to_string()).await;
    }
    redis.start_again().await;
    for client in [&mut at_a, &mut at_b] {
        for number in 0..40 {
            assert_eq!(client.expect("e").await.data, number.to_string());
        }
    }
    other.nothing_came().await;
    drop((at_a, at_b, other));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_during_a_cut_comes_afterwards_and_spares_whoever_came_later() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut gone = b.user(r#"{"id":"7"}"#).await;
    redis.kill().await;
    a.api().post("/users/7/terminate_connections", &json!({})).await.ok();
    // Later by more than the clocks of two servers may be apart.
    sleep(Duration::from_secs(2)).await;
    let mut stays = b.user(r#"{"id":"7"}"#).await;
    gone.nothing_came().await;
    redis.start_again().await;
    assert_eq!(gone.closed().await.0, 4009);
    a.publish_confirmed("linked", "e", "").await;
    stays.nothing_came().await;
    drop((gone, stays));
    stop(a, b).await;
}

/// The next frame's changes, as `[["online", [ids]], …]`.
async fn changes(client: &mut Client) -> Value {
    let frame = client.expect("pusher_internal:watchlist_events").await;
    let events = frame.inner()["events"].as_array().expect("a list of events").clone();
    events.iter().map(|event| json!([event["name"], event["user_ids"]])).collect()
}

/// Reads until these are the states of all users: what takes longer than a sign-in may wait follows as a change.
async fn until_states(client: &mut Client, expected: Value) {
    let mut states = json!({});
    while states != expected {
        for change in changes(client).await.as_array().expect("a list") {
            for user in change[1].as_array().expect("users") {
                let before = states[user.as_str().expect("an id")].take();
                assert_ne!(before, change[0], "told twice: {user}");
                states[user.as_str().expect("an id")] = change[0].clone();
            }
        }
    }
}

const WATCHER: &str = r#"{"id":"w","watchlist":["7","8"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn watchers_hear_once_of_users_whichever_server_they_are_at() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let seven = b.user(r#"{"id":"7"}"#).await;
    let mut watcher = a.user(WATCHER).await;
    until_states(&mut watcher, json!({"7": "online", "8": "offline"})).await;
    let eight = b.user(r#"{"id":"8"}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["8"]]]));
    let mut second = a.user(WATCHER).await;
    assert_eq!(changes(&mut second).await, json!([["online", ["7", "8"]]]), "also of a topic held already");
    // 7 moves from one server to the other, and has two connections for a moment: nobody hears of that.
    let moved = a.user(r#"{"id":"7"}"#).await;
    drop((seven, eight));
    for client in [&mut watcher, &mut second] {
        assert_eq!(changes(client).await, json!([["offline", ["8"]]]));
        client.nothing_came().await;
    }
    // Within the grace 7 ends here and comes back there.
    drop(moved);
    let back = b.user(r#"{"id":"7"}"#).await;
    let mut eight = b.user(r#"{"id":"8"}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["8"]]]));
    eight.nothing_came().await;
    drop(back);
    assert_eq!(changes(&mut watcher).await, json!([["offline", ["7"]]]));
    drop((watcher, second, eight));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_servers_one_says_that_an_event_is_missing() {
    let redis = Redis::start().await;
    let mut receiver = Receiver::start().await;
    let with_webhook = |config: &mut AppConfig| config.webhooks = vec![webhook(&receiver)];
    let (a, b) = (Node::start_with(&redis, with_webhook), Node::start_with(&redis, with_webhook));
    a.publish_confirmed("linked", "e", "").await;
    b.publish_confirmed("linked", "e", "").await;
    let mut clients = Vec::new();
    for node in [&a, &b, &b, &a] {
        clients.push(node.subscriber("cache-c").await);
    }
    assert_eq!(receiver.event(&a.app).await["channel"], "cache-c");
    clients.push(b.subscriber("cache-last").await);
    clients.push(a.subscriber("cache-last").await);
    assert_eq!(receiver.event(&a.app).await["channel"], "cache-last");
    drop(clients);
    stop(a, b).await;
    assert!(receiver.rest().is_empty(), "one of all servers tells it");
}

fn webhook(receiver: &Receiver) -> Webhook {
    // Webhooks can be sent over TLS. Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = WebhookUrl::parse(&receiver.url()).expect("a URL");
    let filter = Filter { kinds: [Kind::CacheMiss].into_iter().collect(), channel_prefix: String::new() };
    Webhook { url, filter, batching: false }
}
