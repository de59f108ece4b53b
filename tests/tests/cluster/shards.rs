//! A Cluster whose slots move while they are used, and one that loses a whole shard, with the leases in it.

use std::collections::BTreeSet;

use gema_broadcast::Address;
use gema_cluster::name::Namespace;
use gema_tests::{Client, RedisCluster};
use serde_json::json;
use tokio::time::{Duration, sleep};

use crate::failovers::{CHANNELS, Scene, key};
use crate::servers::Node;

const ROOM: &str = "presence-room";
/// After this a Cluster without one of its shards serves nobody.
const DOWN: Duration = Duration::from_secs(3);

/// Somebody in the room.
async fn member(node: &Node, user: &str) -> Client {
    let mut client = node.client().await;
    client.join(&node.app, ROOM, &json!({"user_id": user}).to_string()).await;
    client
}

/// A member who hears of the others.
struct Watcher {
    client: Client,
    others: BTreeSet<String>,
}

impl Watcher {
    async fn join(node: &Node) -> Self {
        Self { client: member(node, "watcher").await, others: BTreeSet::new() }
    }

    /// Hears on until these are there. Nobody comes twice or goes twice; whose server had no link for longer than a lease,
    /// which these patient ones may need to find that out, goes and comes again.
    async fn hears_of(&mut self, others: &[&str]) {
        while !self.others.iter().eq(others) {
            let mut frame = self.client.frame().await;
            while frame.event == "pusher:ping" {
                self.client.send("pusher:pong", json!({}), None).await;
                frame = self.client.frame().await;
            }
            let user = frame.inner()["user_id"].as_str().expect("a member").to_owned();
            let is_news = match frame.event.as_str() {
                "pusher_internal:member_added" => self.others.insert(user),
                "pusher_internal:member_removed" => self.others.remove(&user),
                other => panic!("the server sent {other}"),
            };
            assert!(is_news, "{}", frame.text);
        }
    }
}

/// Where the leases are.
fn leases() -> String {
    Namespace::new("", "reverb", 0, "1").nodes()
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_lose_no_event_and_no_member() {
    let cluster = RedisCluster::start().await;
    let mut scene = Scene::begin(&Address::parse(&cluster.url()).expect("an address")).await;
    let mut watcher = Watcher::join(&scene.b).await;
    let ann = member(&scene.a, "ann").await;
    watcher.hears_of(&["ann"]).await;
    scene.tell(5).await;
    scene.settle().await;

    let keys = [key(CHANNELS[0]), key(CHANNELS[1]), key(ROOM), leases()];
    let before = keys.each_ref().map(|key| cluster.primary_of(key));
    let moves = keys.each_ref().map(|key| cluster.begin_move(key));
    scene.tell(5).await;
    let bob = member(&scene.a, "bob").await;
    moves.into_iter().for_each(gema_tests::Move::end);
    scene.tell_through().await;
    for (key, before) in keys.iter().zip(before) {
        assert_ne!(cluster.primary_of(key), before, "{key} has moved");
    }

    watcher.hears_of(&["ann", "bob"]).await;
    drop(ann);
    watcher.hears_of(&["bob"]).await;
    drop(bob);
    watcher.hears_of(&[]).await;
    drop(watcher);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shard_of_the_leases_dies_and_comes_back_empty() {
    let mut cluster = RedisCluster::start().await;
    let mut scene = Scene::begin(&Address::parse(&cluster.url()).expect("an address")).await;
    let mut watcher = Watcher::join(&scene.b).await;
    let ann = member(&scene.a, "ann").await;
    watcher.hears_of(&["ann"]).await;

    let (primary, replica) = cluster.of_key(&leases());
    cluster.servers[primary].kill().await;
    scene.tell_through().await;
    let bob = member(&scene.a, "bob").await;
    watcher.hears_of(&["ann", "bob"]).await;

    // Nobody is left to take over.
    assert_eq!(cluster.primary_of(&leases()), replica);
    cluster.servers[replica].kill().await;
    scene.tell(5).await;
    sleep(DOWN).await;
    drop(ann);
    let cleo = member(&scene.a, "cleo").await;
    cluster.servers[replica].start_again().await;
    scene.tell_through().await;
    watcher.hears_of(&["bob", "cleo"]).await;
    drop(bob);
    watcher.hears_of(&["cleo"]).await;
    drop((cleo, watcher));
    scene.end().await;
}
