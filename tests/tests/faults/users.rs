//! Signed-in users, their ends, and questions about them, while something between the servers is broken.

use std::time::{Duration, Instant};

use gema_protocol::signature::sign_user;
use gema_tests::{Client, Gema, figure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{Fault, Stage};

/// Of what may wait for Redis: 250 ms, and five times as much on a busy machine.
const WAIT: Duration = Duration::from_millis(5 * 250);
/// Of the end of a dead server's lease and what follows: 12 s usually.
const DEATH: Duration = Duration::from_secs(5 * 12);
const SEVEN: &str = r#"{"id":"7"}"#;

/// The next change of a watchlist, as `[["online", [ids]], …]`.
async fn changes(client: &mut Client) -> Value {
    let frame = client.expect("pusher_internal:watchlist_events").await;
    let events = frame.inner()["events"].as_array().expect("a list of events").clone();
    events.iter().map(|event| json!([event["name"], event["user_ids"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_keeps_no_question_and_no_sign_in_waiting() {
    let mut stage = Stage::start().await;
    let (mut seven, mut watcher) = (stage.a.user(SEVEN).await, stage.a.client().await);
    let _member = stage.a.member("presence-c", r#"{"user_id":"7"}"#).await;
    stage.strike(Fault::BothSilent).await;
    // Before the node can have noticed.
    let (start, data) = (Instant::now(), r#"{"id":"w","watchlist":["7","8"]}"#);
    let auth = sign_user(&stage.a.app, &watcher.socket_id, data);
    watcher.send("pusher:signin", json!({"auth": auth, "user_data": data}), None).await;
    watcher.expect("pusher:signin_success").await;
    in_time("a sign-in", start);
    assert_eq!(changes(&mut watcher).await, json!([["online", ["7"]], ["offline", ["8"]]]));
    questions(&stage.a).await;
    let start = Instant::now();
    stage.a.api().post("/users/7/terminate_connections", &json!({})).await.ok();
    assert_eq!(seven.closed().await.0, 4009);
    in_time("a termination", start);
    stage.nothing_is_wrong("silent");
}

fn in_time(what: &str, start: Instant) {
    let took = start.elapsed();
    figure(&format!("{what} with a silent Redis: {:.0} ms", took.as_secs_f64() * 1e3));
    assert!(took < WAIT, "{what} took {took:?}");
}

/// Each is answered from what the node knows itself.
async fn questions(node: &Gema) {
    let counts = [("info", "user_count")];
    for (path, expected) in [
        ("/channels", json!({"channels": {"presence-c": {"user_count": 1}}})),
        ("/channels/presence-c", json!({"occupied": true, "user_count": 1})),
        ("/channels/presence-c/users", json!({"users": [{"id": "7"}]})),
        ("/connections", json!({"connections": 3})),
    ] {
        let start = Instant::now();
        assert_eq!(node.api().get(path, &counts).await.ok(), expected);
        in_time(path, start);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_cut_off_ends_the_connections_that_stood_when_it_was_asked_for() {
    let mut stage = Stage::start().await;
    let mut gone = stage.b.user(SEVEN).await;
    stage.strike(Fault::SubscriberCut).await;
    let answer = stage.a.api().post_confirmed("/users/7/terminate_connections", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Later by more than the clocks of two servers may be apart.
    sleep(Duration::from_millis(500)).await;
    let mut stays = stage.b.user(SEVEN).await;
    gone.nothing_came().await;
    stage.heal(Fault::SubscriberCut).await;
    assert_eq!(gone.closed().await.0, 4009);
    stays.nothing_came().await;
    stage.nothing_is_wrong("cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_hear_once_of_the_users_of_a_killed_server_who_are_nowhere_else() {
    let mut stage = Stage::start().await;
    let _both = (stage.a.user(SEVEN).await, stage.b.user(SEVEN).await);
    let _eight = stage.b.user(r#"{"id":"8"}"#).await;
    let mut watcher = stage.a.user(r#"{"id":"w","watchlist":["7","8"]}"#).await;
    assert_eq!(changes(&mut watcher).await, json!([["online", ["7", "8"]]]));
    stage.b.kill();
    let start = Instant::now();
    while occupied(&stage.a, "%23server-to-user-8").await {
        assert!(start.elapsed() < DEATH, "a killed server is not taken for dead");
        watcher.nothing_came().await;
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(changes(&mut watcher).await, json!([["offline", ["8"]]]));
    figure(&format!(
        "watchers hear of the users of a killed server after {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    watcher.nothing_came().await;
    assert!(occupied(&stage.a, "%23server-to-user-7").await);
}

async fn occupied(node: &Gema, channel: &str) -> bool {
    node.api().get(&format!("/channels/{channel}"), &[]).await.ok()["occupied"] == true
}
