//! Users over several servers: their connections are ended everywhere, and their events find them everywhere.

use gema_tests::{Client, Redis};
use serde_json::json;

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
