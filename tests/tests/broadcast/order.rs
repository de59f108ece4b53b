//! Nothing lost, nothing twice, nothing out of order: per channel and publisher, whatever happens at the same time.

use std::collections::HashMap;

use gema_tests::{Client, Setup};
use serde_json::json;

const PUBLISHERS: usize = 8;
const EVENTS: usize = 150;

/// Reads all events of all publishers and checks that each publisher's numbers run 0, 1, 2, …
async fn complete(client: &mut Client) {
    let mut next = HashMap::new();
    for _ in 0..PUBLISHERS * EVENTS {
        let frame = client.expect("e").await;
        let data = frame.data.as_str().expect("text").to_owned();
        let (publisher, number) = data.split_once(':').expect("publisher:number");
        let due = next.entry(publisher.to_owned()).or_insert(0_usize);
        assert_eq!(number.parse::<usize>().expect("a number"), *due, "publisher {publisher}");
        *due += 1;
    }
    client.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_reverb_312_concurrent_publishers_lose_nothing_and_keep_their_order() {
    let gema = Setup::broadcast().start().await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(gema.subscriber("room").await);
    }
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let api = gema.api();
            tokio::spawn(async move {
                for number in 0..EVENTS {
                    api.publish("room", "e", &format!("{publisher}:{number}")).await;
                }
            })
        })
        .collect();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { complete(&mut client).await }))
        .collect();
    for task in publishers.into_iter().chain(readers) {
        task.await.expect("no publisher and no reader fails");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_confirmation_comes_before_the_first_event() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let publisher = tokio::spawn(async move {
        for number in 0.. {
            api.publish("room", "e", &number.to_string()).await;
        }
    });
    for _ in 0..60 {
        let mut client = gema.client().await;
        client.subscribe("room", "").await;
        let first: u64 =
            client.expect("e").await.data.as_str().and_then(|n| n.parse().ok()).expect("a number");
        assert_eq!(client.expect("e").await.data, json!((first + 1).to_string()), "no gap after the first");
    }
    publisher.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_come_and_go_disturb_nobody() {
    let gema = std::sync::Arc::new(Setup::broadcast().start().await);
    let mut steady = gema.subscriber("room").await;
    let churn: Vec<_> = (0..4)
        .map(|_| {
            let gema = gema.clone();
            tokio::spawn(async move {
                loop {
                    let mut client = gema.subscriber("room").await;
                    client.expect("e").await;
                }
            })
        })
        .collect();
    for number in 0..300 {
        gema.api().publish("room", "e", &number.to_string()).await;
        assert_eq!(steady.expect("e").await.data, json!(number.to_string()));
    }
    for task in churn {
        task.abort();
        assert!(task.await.is_err_and(|e| e.is_cancelled()), "a client that came and went failed");
    }
    steady.nothing_came().await;
}
