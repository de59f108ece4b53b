//! Watchlists: who of them is online. The grace that hides a reconnect is tested in the server, with the clock held.

use gema_tests::{Client, Setup};
use serde_json::{Value, json};

/// The next frame's changes, as `[["online", [ids]], …]`.
async fn changes(client: &mut Client) -> Value {
    let frame = client.expect("pusher_internal:watchlist_events").await;
    assert!(!frame.text.contains(r#""channel""#), "pusher-js wants no channel: {}", frame.text);
    let events = frame.inner()["events"].as_array().expect("a list of events").clone();
    events.iter().map(|event| json!([event["name"], event["user_ids"]])).collect()
}

fn watching(id: &str, watchlist: &[&str]) -> String {
    json!({"id": id, "watchlist": watchlist}).to_string()
}

#[tokio::test]
async fn the_present_state_comes_first_and_each_change_after_it() {
    let gema = Setup::broadcast().start().await;
    let _two = gema.user(r#"{"id":"2"}"#).await;
    let mut watcher = gema.user(&watching("1", &["2", "3", "4"])).await;
    assert_eq!(
        watcher.frame().await.text,
        r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"2\"]},{\"name\":\"offline\",\"user_ids\":[\"3\",\"4\"]}]}"}"#
    );
    let three = gema.user(r#"{"id":"3"}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["3"]]]));
    let again = gema.user(r#"{"id":"3"}"#).await;
    let _unwatched = gema.user(r#"{"id":"5"}"#).await;
    watcher.nothing_came().await;
    drop(again);
    drop(three);
    assert_eq!(changes(&mut watcher).await, json!([["offline", ["3"]]]));
    watcher.nothing_came().await;
}

#[tokio::test]
async fn every_socket_of_every_watcher_is_told() {
    let gema = Setup::broadcast().start().await;
    let mut watchers = Vec::new();
    for id in ["a", "a", "b"] {
        let mut watcher = gema.user(&watching(id, &["9"])).await;
        assert_eq!(changes(&mut watcher).await, json!([["offline", ["9"]]]));
        watchers.push(watcher);
    }
    let mut nine = gema.user(r#"{"id":"9","watchlist":["b","9"]}"#).await;
    assert_eq!(changes(&mut nine).await, json!([["online", ["b", "9"]]]), "one may watch oneself");
    for watcher in &mut watchers {
        assert_eq!(changes(watcher).await, json!([["online", ["9"]]]));
        watcher.nothing_came().await;
    }
}

#[tokio::test]
async fn who_watches_nobody_hears_nothing() {
    let gema = Setup::broadcast().start().await;
    let mut plain = gema.user(r#"{"id":"1"}"#).await;
    let mut empty = gema.user(&watching("2", &[])).await;
    let mut member = gema.client().await;
    member.join(&gema.app, "presence-a", r#"{"user_id":"3","watchlist":["1"]}"#).await;
    for client in [&mut plain, &mut empty, &mut member] {
        client.nothing_came().await;
    }
}

#[tokio::test]
async fn being_in_a_presence_channel_is_not_being_online() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.user(&watching("1", &["2"])).await;
    assert_eq!(changes(&mut watcher).await, json!([["offline", ["2"]]]));
    let _member = gema.member("presence-a", r#"{"user_id":"2"}"#).await;
    watcher.nothing_came().await;
}

#[tokio::test]
async fn the_first_hundred_are_watched_and_the_client_is_told_so() {
    let gema = Setup::broadcast().start().await;
    let ids: Vec<String> = (0..101).map(|id| format!("u{id}")).collect();
    let data = |count: usize| json!({"id": "w", "watchlist": ids[..count]}).to_string();
    let mut exact = gema.user(&data(100)).await;
    changes(&mut exact).await;
    exact.nothing_came().await;

    let mut watcher = gema.user(&data(101)).await;
    let (code, message) = watcher.expect_error().await;
    assert_eq!(code, 4302);
    assert!(message.ends_with(&ids[..100].join(", ")), "{message}");
    assert_eq!(changes(&mut watcher).await, json!([["offline", ids[..100]]]));
    let _cut = gema.user(r#"{"id":"u100"}"#).await;
    watcher.nothing_came().await;
    let _last = gema.user(r#"{"id":"u99"}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["u99"]]]));
}

#[tokio::test]
async fn a_repeated_id_counts_once() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.user(&json!({"id": "w", "watchlist": vec!["2"; 150]}).to_string()).await;
    assert_eq!(changes(&mut watcher).await, json!([["offline", ["2"]]]));
    watcher.nothing_came().await;
}

#[tokio::test]
async fn a_second_sign_in_changes_no_watchlist() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.user(&watching("1", &["2"])).await;
    changes(&mut watcher).await;
    watcher.sign_in(&gema.app, &watching("1", &["3"])).await;
    watcher.nothing_came().await;
    let _three = gema.user(r#"{"id":"3"}"#).await;
    watcher.nothing_came().await;
    let _two = gema.user(r#"{"id":"2"}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["2"]]]));
}
