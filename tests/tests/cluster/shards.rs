//! A Cluster whose slots move while they are used, and one that loses a whole shard, with the leases in it.

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

/// What the watcher hears next of the members.
async fn change(watcher: &mut Client) -> String {
    let mut frame = watcher.frame().await;
    while frame.event == "pusher:ping" {
        watcher.send("pusher:pong", json!({}), None).await;
        frame = watcher.frame().await;
    }
    let event = frame.event.strip_prefix("pusher_internal:member_").unwrap_or(&frame.text);
    format!("{} {event}", frame.inner()["user_id"].as_str().unwrap_or_default())
}

/// Where the leases are.
fn leases() -> String {
    Namespace::new("", "reverb", 0, "1").nodes()
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_lose_no_event_and_no_member() {
    let cluster = RedisCluster::start().await;
    let mut scene = Scene::begin(&Address::parse(&cluster.url()).expect("an address")).await;
    let mut watcher = member(&scene.b, "watcher").await;
    let ann = member(&scene.a, "ann").await;
    assert_eq!(change(&mut watcher).await, "ann added");
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

    assert_eq!(change(&mut watcher).await, "bob added");
    drop(ann);
    assert_eq!(change(&mut watcher).await, "ann removed");
    drop(bob);
    assert_eq!(change(&mut watcher).await, "bob removed");
    drop(watcher);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shard_of_the_leases_dies_and_comes_back_empty() {
    let mut cluster = RedisCluster::start().await;
    let mut scene = Scene::begin(&Address::parse(&cluster.url()).expect("an address")).await;
    let mut watcher = member(&scene.b, "watcher").await;
    let ann = member(&scene.a, "ann").await;
    assert_eq!(change(&mut watcher).await, "ann added");

    let (primary, replica) = cluster.of_key(&leases());
    cluster.servers[primary].kill().await;
    scene.tell_through().await;
    let bob = member(&scene.a, "bob").await;
    assert_eq!(change(&mut watcher).await, "bob added");

    // Nobody is left to take over.
    assert_eq!(cluster.primary_of(&leases()), replica);
    cluster.servers[replica].kill().await;
    scene.tell(5).await;
    sleep(DOWN).await;
    drop(ann);
    let cleo = member(&scene.a, "cleo").await;
    cluster.servers[replica].start_again().await;
    scene.tell_through().await;
    let mut changes = [change(&mut watcher).await, change(&mut watcher).await];
    changes.sort_unstable();
    assert_eq!(changes, ["ann removed", "cleo added"]);
    drop(bob);
    assert_eq!(change(&mut watcher).await, "bob removed");
    drop((cleo, watcher));
    scene.end().await;
}
