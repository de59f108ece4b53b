//! How webhooks get to their endpoints: retries, order, bounds, and the end of the server.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use gema_tests::{Authority, Delivery, Gema, PATIENCE, Receiver, Setup};
use serde_json::json;
use tokio::time::{Instant, sleep};

async fn told(url: &str) -> Gema {
    Setup::broadcast().env("REVERB_APP_WEBHOOK_URL", url).start().await
}

/// Waits for words in the log: the line that has them.
async fn logged(gema: &Gema, words: &str) -> String {
    let start = Instant::now();
    loop {
        if let Some(line) = gema.log().lines().find(|line| line.contains(words)) {
            return line.to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "the log does not say {words:?}:\n{}", gema.log());
        sleep(Duration::from_millis(10)).await;
    }
}

fn same(one: &Delivery, other: &Delivery) -> bool {
    (&one.headers, &one.body) == (&other.headers, &other.body)
}

#[tokio::test]
async fn a_retry_is_the_same_request_word_for_word() {
    let answers = [Some(500), Some(404), Some(302), Some(200)];
    let mut hooks = Receiver::answering(move |n, _| answers.get(n).copied().unwrap_or(Some(200))).await;
    let gema = told(&hooks.url()).await;
    let mut client = gema.subscriber("room").await;
    let first = hooks.delivery().await;
    for answer in [404, 302, 200] {
        let next = hooks.delivery().await;
        assert_eq!(next.answer, Some(answer));
        assert!(same(&first, &next), "{first:?} {next:?}");
        assert_eq!(next.target, "/hook", "a redirect is not followed");
    }
    client.subscribe("hall", "").await;
    let other = hooks.delivery().await;
    assert_ne!(other.header("x-gema-delivery"), first.header("x-gema-delivery"));
    assert!(logged(&gema, "a webhook was not taken").await.contains("it answered 500"));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_in_time_is_asked_again() {
    let mut hooks = Receiver::answering(|n, _| if n == 0 { None } else { Some(204) }).await;
    let gema = told(&hooks.url()).await;
    let _client = gema.subscriber("room").await;
    let (first, second) = (hooks.delivery().await, hooks.delivery().await);
    assert!(same(&first, &second), "{first:?} {second:?}");
    assert_eq!(second.events(&gema.app)[0], json!({"name": "channel_occupied", "channel": "room"}));
    assert!(logged(&gema, "a webhook was not taken").await.contains("it did not answer in time"));
}

#[tokio::test]
async fn an_endpoint_that_is_down_gets_its_events_later_and_its_secrets_stay_secret() {
    let (url, socket) = Receiver::refusing();
    let secret_url = format!("{}?token=hush", url.replace("http://", "http://me:hush@"));
    let gema = told(&secret_url).await;
    let _client = gema.subscriber("room").await;
    let line = logged(&gema, "a webhook was not taken").await;
    assert!(line.contains(&url), "{line}");
    let mut hooks = Receiver::listen(socket);
    let delivery = hooks.delivery().await;
    assert_eq!(delivery.events(&gema.app)[0], json!({"name": "channel_occupied", "channel": "room"}));
    assert_eq!(delivery.target, "/hook?token=hush");
    assert_eq!(delivery.header("authorization"), "Basic bWU6aHVzaA==");
    assert!(!gema.log().contains("hush"), "{}", gema.log());
}

#[tokio::test]
async fn an_endpoint_with_tls_gets_events_if_the_system_trusts_its_certificate() {
    let authority = Authority::new();
    let mut hooks = Receiver::with_certificate(&authority.issue("hooks")).await;
    let root = authority.root();
    let trusting = Setup::broadcast().env("SSL_CERT_FILE", root.to_str().expect("a path"));
    let trusting = trusting.env("REVERB_APP_WEBHOOK_URL", &hooks.url()).start().await;
    let doubting = told(&hooks.url()).await;
    let _nobody = doubting.subscriber("private-a").await;
    assert!(logged(&doubting, "a webhook was not taken").await.contains("certificate"));
    let _client = trusting.subscriber("room").await;
    let delivery = hooks.delivery().await;
    assert_eq!(delivery.events(&trusting.app)[0], json!({"name": "channel_occupied", "channel": "room"}));
}

#[tokio::test]
async fn each_channel_stays_in_order_whatever_fails() {
    // Each request fails once, one of them without an answer.
    let known = Mutex::new(HashSet::new());
    let mut hooks = Receiver::answering(move |n, id| match n {
        _ if !known.lock().unwrap().insert(id.to_owned()) => Some(200),
        1 => None,
        _ => Some(503),
    })
    .await;
    let gema = Setup::broadcast()
        .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
        .env("REVERB_APP_WEBHOOK_EVENTS", "client_event")
        .start()
        .await;
    let channels = ["private-a", "private-b", "private-c"];
    let mut client = gema.client().await;
    for channel in channels {
        let auth = gema.auth(&client, channel);
        client.subscribe(channel, &auth).await;
    }
    const EACH: u64 = 150;
    for number in 0..EACH {
        for channel in channels {
            client.send("client-n", json!(number), Some(channel)).await;
        }
        if number % 30 == 0 {
            // So that there are several batches.
            sleep(Duration::from_millis(100)).await;
        }
    }
    let mut seen = BTreeMap::<String, Vec<u64>>::new();
    while seen.values().map(Vec::len).sum::<usize>() < 3 * 150 {
        let event = hooks.event(&gema.app).await;
        let number = event["data"].as_str().unwrap().parse().unwrap();
        seen.entry(event["channel"].as_str().unwrap().to_owned()).or_default().push(number);
    }
    for channel in channels {
        assert_eq!(seen[channel], (0..EACH).collect::<Vec<_>>(), "{channel}");
    }
}

#[tokio::test]
async fn r_reverb_64_a_dead_endpoint_stops_neither_clients_nor_publishers_nor_other_endpoints() {
    let (dead, mut alive) = (Receiver::answering(|_, _| None).await, Receiver::start().await);
    let toml =
        format!("[[app.webhooks]]\nurl = \"{}\"\n[[app.webhooks]]\nurl = \"{}\"\n", dead.url(), alive.url());
    let gema = Setup::broadcast().file("gema.toml", &toml).start().await;
    let mut clients = Vec::new();
    for number in 0..30 {
        let channel = format!("private-{number}");
        let mut client = gema.subscriber(&channel).await;
        client.send("client-x", json!(number), Some(&channel)).await;
        gema.api().publish(&channel, "e", "1").await;
        client.expect("e").await;
        clients.push(client);
    }
    let mut told = HashSet::new();
    while told.len() < 30 {
        let event = alive.event(&gema.app).await;
        if event["name"] == "client_event" {
            told.insert(event["channel"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn what_a_full_queue_cannot_hold_is_counted_in_the_log() {
    let hooks = Receiver::answering(|_, _| None).await;
    let gema = told(&hooks.url()).await;
    let mut client = gema.subscriber("private-a").await;
    let data = json!("x".repeat(9_000));
    // The queue holds six megabytes of client events.
    for _ in 0..1_100 {
        client.send("client-x", data.clone(), Some("private-a")).await;
    }
    client.nothing_came().await;
    let line = logged(&gema, "webhook events dropped: its queue was full").await;
    assert!(line.contains("events=") && line.contains(&hooks.url()), "{line}");
}

#[tokio::test]
async fn at_the_end_clients_that_are_sent_away_are_told_of() {
    let mut hooks = Receiver::start().await;
    let mut gema = told(&hooks.url()).await;
    let _clients = (gema.subscriber("room").await, gema.subscriber("private-a").await);
    for _ in 0..2 {
        hooks.event(&gema.app).await;
    }
    gema.terminate();
    assert!(gema.ended().await.success(), "{}", gema.log());
    let mut names: Vec<_> = hooks.rest().iter().flat_map(|delivery| delivery.events(&gema.app)).collect();
    names.retain(|event| event["name"] == "channel_vacated");
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn at_the_end_what_nobody_took_is_counted() {
    let mut hooks = Receiver::answering(|_, _| None).await;
    let mut gema = Setup::broadcast()
        .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
        .env("REVERB_APP_WEBHOOK_EVENTS", "channel_occupied,channel_vacated")
        .env("GEMA_DRAIN_SECONDS", "2")
        .start()
        .await;
    let _client = gema.subscriber("room").await;
    hooks.delivery().await;
    gema.terminate();
    assert!(gema.ended().await.success(), "{}", gema.log());
    let line = logged(&gema, "webhook events dropped: the server stopped").await;
    assert!(line.contains("events=2"), "{line}");
    assert!(gema.log().contains("broadcast server stopped; connections closed: 1"), "{}", gema.log());
}
