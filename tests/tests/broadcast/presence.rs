//! Presence channels: who is there, and what the others are told.

use std::collections::BTreeSet;

use gema_protocol::app::Credentials;
use gema_tests::{Client, Gema, PATIENCE, Setup};
use serde_json::json;

const ROOM: &str = "presence-room";

#[tokio::test]
async fn a_user_is_announced_once_and_everybody_gets_the_whole_list() {
    let gema = Setup::broadcast().start().await;
    let (app, room) = (&gema.app, ROOM);
    let mut ann = gema.client().await;
    let list = ann.join(app, room, r#"{"user_id":"10","user_info":{"name":"A"}}"#).await;
    assert_eq!(
        list.text,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":"{\"presence\":{\"count\":1,\"ids\":[\"10\"],\"hash\":{\"10\":{\"name\":\"A\"}}}}"}"#
    );
    let mut bob = gema.client().await;
    let list = bob.join(app, room, r#"{"user_id":"11","user_info":{"name":"B"}}"#).await;
    assert_eq!(
        list.inner(),
        json!({"presence": {"count": 2, "ids": ["10", "11"], "hash": {"10": {"name": "A"}, "11": {"name": "B"}}}})
    );
    assert_eq!(
        ann.frame().await.text,
        r#"{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"11\",\"user_info\":{\"name\":\"B\"}}"}"#
    );
    bob.leave(room).await;
    assert_eq!(
        ann.frame().await.text,
        r#"{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"11\"}"}"#
    );
    ann.nothing_came().await;
}

#[tokio::test]
async fn r_reverb_213_further_connections_of_a_user_are_no_further_members() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.member(ROOM, r#"{"user_id":"w"}"#).await;
    let mut first = gema.member(ROOM, r#"{"user_id":"10","user_info":"first"}"#).await;
    watcher.expect("pusher_internal:member_added").await;
    let mut second = gema.client().await;
    let list = second.join(&gema.app, ROOM, r#"{"user_id":"10","user_info":"second"}"#).await;
    assert_eq!(list.inner()["presence"]["hash"], json!({"10": "first", "w": null}), "the first info stays");
    first.leave(ROOM).await;
    second.nothing_came().await;
    watcher.nothing_came().await;
    drop(second);
    let removed = watcher.expect("pusher_internal:member_removed").await;
    assert_eq!(removed.inner(), json!({"user_id": "10"}));
    watcher.nothing_came().await;
}

#[tokio::test]
async fn a_number_stays_a_number_and_is_the_same_user_as_its_text() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.member(ROOM, r#"{"user_id":"w"}"#).await;
    let mut number = gema.client().await;
    let list = number.join(&gema.app, ROOM, r#"{"user_id":10}"#).await.inner();
    assert_eq!(list["presence"]["ids"], json!([10, "w"]));
    assert_eq!(list["presence"]["hash"], json!({"10": null, "w": null}), "no info is null");
    assert_eq!(watcher.frame().await.inner(), json!({"user_id": 10}));
    let text = gema.member(ROOM, r#"{"user_id":"10"}"#).await;
    watcher.nothing_came().await;
    drop(text);
    number.leave(ROOM).await;
    assert_eq!(watcher.expect("pusher_internal:member_removed").await.inner(), json!({"user_id": 10}));
    let users = gema.api().get(&format!("/channels/{ROOM}/users"), &[]).await.ok();
    assert_eq!(users, json!({"users": [{"id": "w"}]}));
}

#[tokio::test]
async fn a_repeated_subscription_is_confirmed_with_the_list_and_announced_to_nobody() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.member(ROOM, r#"{"user_id":"w"}"#).await;
    let mut client = gema.member(ROOM, r#"{"user_id":"10"}"#).await;
    watcher.expect("pusher_internal:member_added").await;
    let again = client.join(&gema.app, ROOM, r#"{"user_id":"10"}"#).await;
    assert_eq!(again.inner()["presence"]["count"], 2);
    client.ask_signed(&gema.app, ROOM, None).await;
    assert_eq!(client.expect_error().await.0, 4009, "each time the signature is checked");
    client.leave(ROOM).await;
    watcher.expect("pusher_internal:member_removed").await;
    watcher.nothing_came().await;
}

#[tokio::test]
async fn a_member_is_who_the_app_says_or_else_who_is_signed_in() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.member(ROOM, r#"{"user_id":"w"}"#).await;
    let mut user = gema.user(r#"{"id":"7","user_info":{"name":"Seven"},"x":1}"#).await;
    user.ask_signed(&gema.app, ROOM, None).await;
    user.expect("pusher_internal:subscription_succeeded").await;
    let added = watcher.expect("pusher_internal:member_added").await;
    assert_eq!(added.inner(), json!({"user_id": "7", "user_info": {"name": "Seven"}}));
    user.leave(ROOM).await;
    watcher.expect("pusher_internal:member_removed").await;
    user.join(&gema.app, ROOM, r#"{"user_id":"8"}"#).await;
    assert_eq!(watcher.expect("pusher_internal:member_added").await.inner(), json!({"user_id": "8"}));
}

#[tokio::test]
async fn data_that_names_nobody_is_refused_and_leaves_no_trace() {
    let gema = Setup::broadcast().start().await;
    let mut watcher = gema.member(ROOM, r#"{"user_id":"w"}"#).await;
    let mut client = gema.client().await;
    let long = format!(r#"{{"user_id":"{}"}}"#, "x".repeat(129));
    let deep = format!(r#"{{"user_id":"1","user_info":{}{}}}"#, "[".repeat(129), "]".repeat(129));
    for data in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"user_id":null}"#,
        r#"{"user_id":""}"#,
        r#"{"user_id":1.5}"#,
        r#"{"user_id":true}"#,
        r#"{"user_id":["1"]}"#,
        r#"{"user_info":{}}"#,
        r#"["1"]"#,
        "nonsense",
        &long,
        &deep,
    ] {
        client.ask_signed(&gema.app, ROOM, Some(data)).await;
        assert_eq!(client.expect_error().await.0, 4009, "{data:.60}");
    }
    watcher.nothing_came().await;
    let count = gema.api().get(&format!("/channels/{ROOM}"), &[("info", "user_count")]).await.ok();
    assert_eq!(count["user_count"], 1);
}

#[tokio::test]
async fn the_pusher_profile_ends_at_a_hundred_members_of_a_kilobyte() {
    let gema = Setup::broadcast().env("REVERB_APP_PROFILE", "pusher").start().await;
    let mut members = Vec::new();
    for id in 0..100 {
        members.push(gema.member(ROOM, &json!({"user_id": id}).to_string()).await);
    }
    let mut late = gema.client().await;
    late.ask_signed(&gema.app, ROOM, Some(r#"{"user_id":"late"}"#)).await;
    assert_eq!(late.expect_error().await.0, 4100);
    gema.api().post("/users/late/terminate_connections", &json!({})).await.ok();
    late.nothing_came().await;
    let again = late.join(&gema.app, ROOM, r#"{"user_id":7}"#).await;
    assert_eq!(again.inner()["presence"]["count"], 100, "a further connection of a member is none");
    late.leave(ROOM).await;
    let mut leaving = members.pop().expect("a hundred members");
    leaving.leave(ROOM).await;
    let data = |bytes: usize| json!({"user_id": "late", "user_info": "x".repeat(bytes - 2)}).to_string();
    late.ask_signed(&gema.app, ROOM, Some(&data(1025))).await;
    assert_eq!(late.expect_error().await.0, 4009);
    late.join(&gema.app, ROOM, &data(1024)).await;
}

#[tokio::test]
async fn member_removed_is_not_a_kept_event() {
    let gema = Setup::broadcast().start().await;
    let room = "presence-cache-room";
    let mut watcher = gema.member(room, r#"{"user_id":"w"}"#).await;
    watcher.expect("pusher:cache_miss").await;
    let mut client = gema.member(room, r#"{"user_id":"10"}"#).await;
    client.expect("pusher:cache_miss").await;
    client.leave(room).await;
    client.join(&gema.app, room, r#"{"user_id":"10"}"#).await;
    client.expect("pusher:cache_miss").await;
}

/// A member whose own list is always the one it was sent, changed by what it was told since.
struct Replica {
    client: Client,
    user: String,
    members: BTreeSet<String>,
}

impl Replica {
    async fn new(gema: &Gema, user: String) -> Self {
        Self { client: gema.client().await, user, members: BTreeSet::new() }
    }

    async fn join(&mut self, app: &Credentials) {
        let list = self.client.join(app, ROOM, &json!({"user_id": self.user}).to_string()).await.inner();
        let ids = list["presence"]["ids"].as_array().expect("a list of ids").iter();
        self.members = ids.map(|id| id.as_str().expect("ids are text here").to_owned()).collect();
        assert!(self.members.contains(&self.user), "the list of {} lacks its own user", self.user);
    }

    /// Applies what came, up to an answered ping.
    async fn catch_up(&mut self) {
        self.client.send("pusher:ping", json!({}), None).await;
        loop {
            let frame = self.client.frame().await;
            if frame.event == "pusher:pong" {
                return;
            }
            let id = frame.inner()["user_id"].as_str().expect("ids are text here").to_owned();
            let told_once = match frame.event.as_str() {
                "pusher_internal:member_added" => self.members.insert(id),
                "pusher_internal:member_removed" => self.members.remove(&id),
                other => panic!("{other} came"),
            };
            assert!(told_once, "{} was told this twice: {}", self.user, frame.text);
        }
    }

    async fn leave(&mut self) {
        self.client.send("pusher:unsubscribe", json!({"channel": ROOM}), None).await;
        self.catch_up().await;
        self.members.clear();
    }

    /// Joins and leaves at random, the latter also by breaking the connection; ends inside or outside.
    async fn live(mut self, gema: &Gema, mut random: Random) -> Self {
        for _ in 0..30 {
            self.join(&gema.app).await;
            if random.below(2) == 0 {
                self.catch_up().await;
            }
            match random.below(8) {
                0 => self.client = gema.client().await,
                _ => self.leave().await,
            }
        }
        if random.below(2) == 0 {
            self.join(&gema.app).await;
        } else {
            self.members.clear();
        }
        self
    }
}

/// Splitmix64: the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::test]
async fn joins_and_leaves_at_once_end_in_one_list_and_are_told_in_pairs() {
    let gema = std::sync::Arc::new(Setup::broadcast().start().await);
    let mut observer = Replica::new(&gema, "observer".to_owned()).await;
    observer.join(&gema.app).await;
    let mut lives = tokio::task::JoinSet::new();
    for seed in 0..16 {
        let gema = gema.clone();
        lives.spawn(async move {
            let replica = Replica::new(&gema, format!("user-{}", seed % 3)).await;
            replica.live(&gema, Random(seed)).await
        });
    }
    let mut replicas = lives.join_all().await;
    replicas.retain(|replica| !replica.members.is_empty());
    let mut truth: BTreeSet<String> = replicas.iter().map(|replica| replica.user.clone()).collect();
    truth.insert(observer.user.clone());
    agreed(&gema, &truth).await;
    replicas.push(observer);
    for replica in &mut replicas {
        replica.catch_up().await;
        assert_eq!(replica.members, truth, "the list of a {}", replica.user);
    }
}

/// Waits until the server has noticed all broken connections.
async fn agreed(gema: &Gema, truth: &BTreeSet<String>) {
    let expected = json!({"users": truth.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
    let start = std::time::Instant::now();
    loop {
        let users = gema.api().get(&format!("/channels/{ROOM}/users"), &[]).await.ok();
        if users == expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{users} is still not {expected}");
    }
}
