//! Two servers over a Redis of their own: what is published at one reaches the clients of the other.

use gema_tests::Redis;
use serde_json::json;

use crate::servers::{Node, pair, stop};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_takes_the_clients_of_both_get_in_order() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    for number in 0..50 {
        a.api().publish("private-c", "e", &number.to_string()).await;
    }
    for client in [&mut at_a, &mut at_b] {
        for number in 0..50 {
            assert_eq!(client.expect("e").await.data, number.to_string());
        }
    }
    drop((at_a, at_b));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_event_and_an_excluded_socket_mean_the_same_everywhere() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    at_a.send("client-typing", json!({"n": 1}), Some("private-c")).await;
    assert_eq!(at_b.expect("client-typing").await.data, json!({"n": 1}));
    at_a.nothing_came().await;
    let body = json!({"name": "e", "channels": ["private-c"], "data": "x", "socket_id": at_b.socket_id});
    a.api().post("/events", &body).await.ok();
    a.publish_confirmed("private-c", "last", "").await;
    assert_eq!(at_a.expect("e").await.data, "x");
    at_b.expect("last").await;
    drop((at_a, at_b));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_channel_has_its_last_event_on_every_node() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    a.publish_confirmed("cache-c", "e", "kept").await;
    let mut at_b = b.subscriber("cache-c").await;
    assert_eq!(at_b.expect("e").await.data, "kept");
    drop(at_b);
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_node_serves_its_own_clients_and_confirms_nothing() {
    let mut redis = Redis::start().await;
    redis.kill().await;
    let node = Node::start(&redis);
    let mut client = node.subscriber("c").await;
    node.api().publish("c", "e", "1").await;
    assert_eq!(client.expect("e").await.data, "1");
    let body = json!({"name": "e", "channels": ["c"], "data": "2"});
    let answer = node.post_confirmed(&body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(client.expect("e").await.data, "2", "its own clients have it all the same");
    redis.start_again().await;
    node.publish_confirmed("c", "e", "3").await;
    drop(client);
    node.stop().await;
}
