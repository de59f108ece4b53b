//! One limit of connections over two servers: as many clients as it says come in, wherever they try.

use futures_util::future::join_all;
use gema_tests::{Client, Redis};

use crate::servers::{Node, pair_with, stop};

const LIMIT: usize = 40;

/// Lets `many` clients try to connect at once; those who were let in.
async fn rush(node: &Node, many: usize) -> Vec<Client> {
    let tries = (0..many).map(async |_| {
        let target = format!("/app/{}?protocol=7", node.app.key);
        let mut client = Client::open(node.at, &target, &[]).await;
        match client.frame().await.event.as_str() {
            "pusher:connection_established" => Some(client),
            "pusher:error" => {
                assert_eq!(client.closed().await.0, 4004);
                None
            }
            other => panic!("not expected: {other}"),
        }
    });
    join_all(tries).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_let_in_as_many_as_one_would() {
    let redis = Redis::start().await;
    let (a, b) = pair_with(&redis, |app| app.max_connections = Some(LIMIT)).await;
    let mut inside = rush(&a, 25).await;
    assert_eq!(inside.len(), 25, "more than half of the places are not kept for nobody");
    let (at_a, at_b) = tokio::join!(rush(&a, LIMIT), rush(&b, LIMIT));
    inside.extend(at_a.into_iter().chain(at_b));
    assert!((LIMIT - 2..=LIMIT + 2).contains(&inside.len()), "{} of {LIMIT}", inside.len());
    drop(inside);
    stop(a, b).await;
}
