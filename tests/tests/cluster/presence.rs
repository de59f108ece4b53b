//! Presence over several servers: every client hears of every user once, whichever server either is at.

use std::collections::BTreeSet;
use std::time::Duration;

use gema_broadcast::AppConfig;
use gema_tests::{Client, Frame, PATIENCE, Redis};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::servers::{Node, pair, pair_with, stop};

const ROOM: &str = "presence-room";
const ADDED: &str = "pusher_internal:member_added";
const REMOVED: &str = "pusher_internal:member_removed";

fn data(user: &str) -> String {
    json!({"user_id": user, "user_info": {"name": user.to_uppercase()}}).to_string()
}

/// The users of a confirmation.
fn listed(frame: &Frame) -> BTreeSet<String> {
    let presence = &frame.inner()["presence"];
    let ids: BTreeSet<String> = presence["ids"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(presence["count"], ids.len(), "{}", frame.text);
    ids
}

fn users(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn user_of(frame: &Frame) -> String {
    frame.inner()["user_id"].as_str().expect("an id").to_owned()
}

/// A member and whom it was told of when it came.
async fn join(node: &Node, room: &str, user: &str) -> (Client, BTreeSet<String>) {
    let mut client = node.client().await;
    let list = client.join(&node.app, room, &data(user)).await;
    (client, listed(&list))
}

/// As [`join`], until the client knows of exactly these: what takes longer than a join may wait follows as events.
async fn join_knowing(node: &Node, user: &str, expected: &[&str]) -> Client {
    let (mut client, mut list) = join(node, ROOM, user).await;
    while list.len() < expected.len() {
        assert!(list.insert(user_of(&client.expect(ADDED).await)), "heard twice");
    }
    assert_eq!(list, users(expected));
    client
}

impl Node {
    /// Waits until a query names exactly these users.
    async fn has_users(&self, users: &Value) {
        let (deadline, expected) = (Instant::now() + PATIENCE, json!({"users": users}));
        loop {
            let answer = self.api().get(&format!("/channels/{ROOM}/users"), &[]).await.ok();
            if answer == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{answer}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whom a newcomer is told of; asked until that is so.
    async fn lists(&self, room: &str, expected: &[&str]) {
        let (deadline, expected) = (Instant::now() + PATIENCE, users(expected));
        loop {
            let (client, mut list) = join(self, room, "probe").await;
            drop(client);
            list.remove("probe");
            if list == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{list:?} instead of {expected:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The next member event, which must be of this user.
async fn hears(client: &mut Client, event: &str, user: &str) -> Frame {
    let frame = client.expect(event).await;
    assert_eq!(user_of(&frame), user, "{}", frame.text);
    frame
}

/// Publishes an event that comes after everything that a server has told before: the clients must hear of nobody until then.
async fn heard_nothing(node: &Node, clients: &mut [&mut Client]) {
    node.publish_confirmed(ROOM, "end", "").await;
    for client in clients {
        client.expect("end").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r_reverb_273_the_list_holds_the_members_of_every_server() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut ann, list) = join(&a, ROOM, "ann").await;
    assert_eq!(list, users(&["ann"]));
    let mut bob = join_knowing(&b, "bob", &["ann", "bob"]).await;
    let added = hears(&mut ann, ADDED, "bob").await;
    assert_eq!(
        added.inner(),
        json!({"user_id": "bob", "user_info": {"name": "BOB"}}),
        "as the app signed it"
    );

    // A further tab at the other server is nothing new, and its end neither.
    let (mut tab, list) = join(&b, ROOM, "ann").await;
    assert_eq!(list, users(&["ann", "bob"]));
    ann.leave(ROOM).await;
    heard_nothing(&a, &mut [&mut bob, &mut tab]).await;
    let (mut cem, list) = join(&a, ROOM, "cem").await;
    assert_eq!(list, users(&["ann", "bob", "cem"]));
    hears(&mut bob, ADDED, "cem").await;
    drop(tab);
    hears(&mut bob, REMOVED, "ann").await;
    hears(&mut cem, REMOVED, "ann").await;
    drop((ann, bob, cem));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_joins_at_two_servers_at_once_is_added_once() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, _) = join(&a, ROOM, "watch-a").await;
    let mut at_b = join_knowing(&b, "watch-b", &["watch-a", "watch-b"]).await;
    hears(&mut at_a, ADDED, "watch-b").await;
    for round in 0..20 {
        let user = format!("user-{round}");
        let ((mut one, list), (mut two, other)) = tokio::join!(join(&a, ROOM, &user), join(&b, ROOM, &user));
        let expected = users(&["watch-a", "watch-b", &user]);
        assert_eq!((&list, &other), (&expected, &expected), "round {round}");
        for client in [&mut at_a, &mut at_b] {
            hears(client, ADDED, &user).await;
        }
        // A server that has not heard yet of the other's client would take the first to leave for the last. A query tells
        // what its server knows first.
        for node in [&a, &b] {
            node.has_users(&json!([{"id": &user}, {"id": "watch-a"}, {"id": "watch-b"}])).await;
            heard_nothing(node, &mut [&mut at_a, &mut at_b, &mut one, &mut two]).await;
        }
        let ((), ()) = tokio::join!(one.leave(ROOM), two.leave(ROOM));
        for client in [&mut at_a, &mut at_b] {
            hears(client, REMOVED, &user).await;
        }
        for node in [&a, &b] {
            node.has_users(&json!([{"id": "watch-a"}, {"id": "watch-b"}])).await;
            heard_nothing(node, &mut [&mut at_a, &mut at_b]).await;
        }
    }
    drop((at_a, at_b));
    stop(a, b).await;
}

/// Whoever joins at the same instant hears of each other once: in the list or by an event.
#[tokio::test(flavor = "multi_thread")]
async fn users_who_join_at_the_same_instant_hear_of_each_other_once() {
    let redis = Redis::start().await;
    let nodes = [Node::start(&redis), Node::start(&redis), Node::start(&redis)];
    for node in &nodes {
        node.publish_confirmed("linked", "e", "").await;
    }
    let all: Vec<String> = (0..9).map(|index| format!("u{index}")).collect();
    for round in 0..5 {
        let room = format!("presence-{round}");
        let joins = all.iter().zip(nodes.iter().cycle()).map(|(user, node)| join(node, &room, user));
        let mut clients = futures_util::future::join_all(joins).await;
        for (user, (client, list)) in all.iter().zip(&mut clients) {
            assert!(list.contains(user));
            while list.len() < all.len() {
                let added = client.expect(ADDED).await;
                assert!(list.insert(user_of(&added)), "round {round}: {user} heard twice: {}", added.text);
            }
        }
        for (client, _) in &mut clients {
            client.nothing_came().await;
        }
    }
    let [a, b, c] = nodes;
    tokio::join!(a.stop(), b.stop(), c.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_its_memory_changes_nobodys_list() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut ann, _) = join(&a, ROOM, "ann").await;
    let mut bob = join_knowing(&b, "bob", &["ann", "bob"]).await;
    hears(&mut ann, ADDED, "bob").await;
    redis.kill().await;
    redis.start_again().await;
    a.publish_confirmed("linked", "e", "").await;
    b.publish_confirmed("linked", "e", "").await;
    // Known again to somebody who knew nothing before.
    let c = Node::start(&redis);
    c.lists(ROOM, &["ann", "bob"]).await;
    let (cem, _) = join(&c, ROOM, "cem").await;
    let mut heard = Vec::new();
    for client in [&mut ann, &mut bob] {
        heard.extend(until_added(client, "cem").await);
    }
    heard.retain(|(_, user)| user != "probe");
    assert_eq!(heard, [], "nobody came or went");
    drop((ann, bob, cem));
    tokio::join!(a.stop(), b.stop(), c.stop());
}

/// What a client hears before a user is added.
async fn until_added(client: &mut Client, user: &str) -> Vec<(String, String)> {
    let mut heard = Vec::new();
    loop {
        let frame = client.frame().await;
        if (frame.event.as_str(), user_of(&frame).as_str()) == (ADDED, user) {
            return heard;
        }
        heard.push((frame.event.clone(), user_of(&frame)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_join_is_answered_from_what_is_known_and_the_rest_follows() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut ann, _) = join(&a, ROOM, "ann").await;
    let mut bob = join_knowing(&b, "bob", &["ann", "bob"]).await;
    hears(&mut ann, ADDED, "bob").await;
    redis.kill().await;
    let (mut cem, list) = timeout(PATIENCE, join(&a, ROOM, "cem")).await.expect("not for Redis to say");
    assert_eq!(list, users(&["ann", "bob", "cem"]), "of the other server what was known last");
    hears(&mut ann, ADDED, "cem").await;
    // A channel that nobody had before.
    let ((mut dia, alone), (mut eve, lonely)) =
        tokio::join!(join(&a, "presence-new", "dia"), join(&b, "presence-new", "eve"));
    assert_eq!((alone, lonely), (users(&["dia"]), users(&["eve"])));
    bob.nothing_came().await;
    redis.start_again().await;
    hears(&mut bob, ADDED, "cem").await;
    hears(&mut dia, ADDED, "eve").await;
    hears(&mut eve, ADDED, "dia").await;
    for client in [&mut ann, &mut bob, &mut cem, &mut dia, &mut eve] {
        client.nothing_came().await;
    }
    drop((ann, bob, cem, dia, eve));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_sockudo_75_the_limit_of_members_counts_every_server() {
    let redis = Redis::start().await;
    let limited = |app: &mut AppConfig| app.limits.presence_members = Some(2);
    let (a, b) = pair_with(&redis, limited).await;
    let (mut ann, _) = join(&a, ROOM, "ann").await;
    let bob = join_knowing(&b, "bob", &["ann", "bob"]).await;
    hears(&mut ann, ADDED, "bob").await;
    let mut cem = b.client().await;
    cem.ask_signed(&b.app, ROOM, Some(&data("cem"))).await;
    assert_eq!(cem.expect_error().await.0, 4100);
    heard_nothing(&b, &mut [&mut ann]).await;
    // Another tab of a member may come in.
    let (tab, list) = join(&b, ROOM, "ann").await;
    assert_eq!(list, users(&["ann", "bob"]));
    drop(bob);
    hears(&mut ann, REMOVED, "bob").await;
    let (dia, _) = join(&b, ROOM, "dia").await;
    hears(&mut ann, ADDED, "dia").await;
    drop((ann, cem, tab, dia));
    stop(a, b).await;
}

/// Two come at the same instant to two servers, and one place is left.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_listed_who_was_not_let_in_after_all() {
    let redis = Redis::start().await;
    let limited = |app: &mut AppConfig| app.limits.presence_members = Some(2);
    let (a, b) = pair_with(&redis, limited).await;
    let (mut ann, _) = join(&a, ROOM, "ann").await;
    let (bea, _) = join(&b, ROOM, "ann").await;
    for _ in 0..8 {
        let both = tokio::join!(try_join(&a, "cem"), try_join(&b, "dia"));
        drop(both);
        for node in [&a, &b] {
            node.has_users(&json!([{"id": "ann"}])).await;
        }
    }
    a.publish_confirmed(ROOM, "end", "").await;
    let mut there = BTreeSet::new();
    loop {
        let frame = ann.frame().await;
        match frame.event.as_str() {
            ADDED => assert!(there.insert(user_of(&frame)), "{}", frame.text),
            REMOVED => assert!(there.remove(&user_of(&frame)), "{}", frame.text),
            _ => break,
        }
    }
    assert_eq!(there, BTreeSet::new());
    drop((ann, bea));
    stop(a, b).await;
}

/// A member, if there was room.
async fn try_join(node: &Node, user: &str) -> Option<Client> {
    let mut client = node.client().await;
    client.ask_signed(&node.app, ROOM, Some(&data(user))).await;
    let event = client.frame().await.event;
    (event == "pusher_internal:subscription_succeeded").then_some(client)
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_counted_over_all_servers() {
    let redis = Redis::start().await;
    let (a, b) = pair_with(&redis, |app| app.subscription_count = true).await;
    let mut at_a = a.subscriber("counted").await;
    counts_up_to(&mut at_a, 1).await;
    let mut at_b = b.subscriber("counted").await;
    counts_up_to(&mut at_b, 2).await;
    counts_up_to(&mut at_a, 2).await;
    let more = b.subscriber("counted").await;
    counts_up_to(&mut at_a, 3).await;
    drop((more, at_b));
    counts_up_to(&mut at_a, 1).await;
    drop(at_a);
    stop(a, b).await;
}

/// Counts come until this one does.
async fn counts_up_to(client: &mut Client, count: u64) {
    while client.expect("pusher_internal:subscription_count").await.inner()["subscription_count"] != count {}
}
