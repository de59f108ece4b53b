//! Nodes that die, sleep or are cut off, as the members of a presence channel on the other nodes see it: whoever is really
//! gone leaves once, whoever is still elsewhere does not, and nobody waits for the dead.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Cut, Gema, Metrics, PATIENCE, Recorder, Redis, Setup, figure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{linked, long};

const ROOM: &str = "presence-room";
/// A node is to be declared dead within 15 s; five times that on a busy machine.
const DEAD: Duration = Duration::from_secs(5 * 15);
/// A join may wait for 250 ms; five times that on a busy machine.
const JOIN: Duration = Duration::from_millis(5 * 250);
/// How long a node's own lease must have stood before it may declare others dead.
const SETTLED: Duration = Duration::from_secs(11);

/// Three nodes with a wire each. `watcher` is a member at the first; ann and bob are at the second, bob and cleo at the third.
struct Town {
    wires: Vec<Cut>,
    nodes: Vec<Gema>,
    watcher: Recorder,
    /// ann and bob of the second node, bob and cleo of the third.
    members: Vec<Recorder>,
    _redis: Redis,
}

async fn member(node: &Gema, user: &str) -> Recorder {
    Recorder::of(node.member(ROOM, &json!({"user_id": user}).to_string()).await)
}

impl Town {
    async fn new() -> Self {
        let redis = Redis::start().await;
        let wires: Vec<Cut> = (0..3).map(|_| Cut::before(&redis)).collect();
        let nodes = join_all(
            wires
                .iter()
                .map(|wire| Setup::broadcast().node(&wire.url()).env("GEMA_METRICS_PORT", "0").start()),
        )
        .await;
        join_all(nodes.iter().map(linked)).await;
        let watcher = member(&nodes[0], "watcher").await;
        let mut members = Vec::new();
        for (node, user) in [(1, "ann"), (1, "bob"), (2, "bob"), (2, "cleo")] {
            members.push(member(&nodes[node], user).await);
        }
        let town = Self { wires, nodes, watcher, members, _redis: redis };
        for node in &town.nodes {
            lists(node, &["ann", "bob", "cleo", "watcher"], PATIENCE).await;
        }
        for user in ["ann", "bob", "cleo"] {
            town.hears("member_added", user, PATIENCE).await;
        }
        town
    }

    /// How long it takes the watcher to hear of a user.
    async fn hears(&self, event: &str, user: &str, deadline: Duration) -> Duration {
        let start = Instant::now();
        let event = format!("pusher_internal:{event}");
        self.watcher
            .until(&format!("{event} of {user}"), deadline, |came| {
                came.iter().any(|(_, frame)| frame.event == event && frame.inner()["user_id"] == user)
            })
            .await;
        start.elapsed()
    }

    /// Everything the watcher has heard of a user: "+" and "-". A further user's coming is the end of it.
    async fn heard_of(&self, user: &str) -> String {
        let mark = format!("mark-{user}");
        let _passing = member(&self.nodes[2], &mark).await;
        self.hears("member_added", &mark, PATIENCE).await;
        let mut changes: Vec<(Instant, &str)> = Vec::new();
        for (event, sign) in [("member_added", "+"), ("member_removed", "-")] {
            let came = self.watcher.texts(&format!("pusher_internal:{event}"));
            let of_user = |text: &str| {
                serde_json::from_str::<Value>(text).expect("the data is JSON")["user_id"] == user
            };
            changes.extend(came.iter().filter(|(_, text)| of_user(text)).map(|(at, _)| (*at, sign)));
        }
        changes.sort_unstable();
        changes.into_iter().map(|(_, sign)| sign).collect()
    }
}

/// Waits until a node's list has exactly these users.
async fn lists(node: &Gema, expected: &[&str], deadline: Duration) {
    let start = Instant::now();
    loop {
        let answer = node.api().get(&format!("/channels/{ROOM}/users"), &[]).await.ok();
        let users = answer["users"].as_array().expect("users").iter();
        let users: BTreeSet<&str> = users.map(|user| user["id"].as_str().expect("an id")).collect();
        if users == expected.iter().copied().collect() {
            return;
        }
        assert!(start.elapsed() < deadline, "{users:?}, not {expected:?}:\n{}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until these nodes have counted one of something together.
async fn count_one(nodes: &[&Gema], metric: &str) {
    let start = Instant::now();
    loop {
        let all = join_all(nodes.iter().map(async |node| node.metrics().await)).await;
        let of = |page: &Metrics| page.series(metric).into_iter().map(|series| page.get(series)).sum::<f64>();
        let sum: f64 = all.iter().map(of).sum();
        if sum == 1.0 {
            return;
        }
        assert!(sum < 1.0 && start.elapsed() < DEAD, "{metric}: {sum}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// How long a first join of a presence channel takes that nobody else is in.
async fn join(node: &Gema, number: usize) -> Duration {
    let mut client = node.client().await;
    let start = Instant::now();
    client.join(&node.app, &format!("presence-{number}"), r#"{"user_id":"dora"}"#).await;
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_die_sleep_and_are_cut_off() {
    let sleeps = if long() { vec![20, 45] } else { vec![20] };
    let sleeping = join_all(sleeps.into_iter().map(|length| asleep(Duration::from_secs(length))));
    tokio::join!(killed(), sleeping, cut_off_for_a_moment(), cut_off_for_long());
}

async fn killed() {
    let mut town = Town::new().await;
    sleep(SETTLED).await;
    let died = Instant::now();
    town.nodes[1].kill();
    town.hears("member_removed", "ann", DEAD).await;
    let took = died.elapsed();
    for node in [&town.nodes[0], &town.nodes[2]] {
        lists(node, &["bob", "cleo", "watcher"], DEAD).await;
    }
    figure(&format!("kill -9: the others list exactly the living after {:.1} s", took.as_secs_f64()));
    assert_eq!(town.heard_of("ann").await, "+-");
    count_one(&[&town.nodes[0], &town.nodes[2]], "gema_cluster_nodes_reaped_total").await;
    assert_eq!(town.heard_of("bob").await, "+", "still at another node");
    assert_eq!(town.heard_of("cleo").await, "+");
}

async fn asleep(length: Duration) {
    let town = Town::new().await;
    sleep(SETTLED).await;
    let stopped = Instant::now();
    town.nodes[1].freeze();
    let removed = town.hears("member_removed", "ann", DEAD).await;
    let mut joins = Vec::new();
    for number in 0.. {
        joins.push(join(&town.nodes[0], number).await);
        if stopped.elapsed() >= length {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    let slowest = joins.into_iter().max().expect("joins");
    town.nodes[1].thaw();
    let woken = Instant::now();
    for node in &town.nodes {
        lists(node, &["ann", "bob", "cleo", "watcher"], DEAD).await;
    }
    figure(&format!(
        "SIGSTOP for {} s: declared dead after {:.1} s, back {:.1} s after SIGCONT; the slowest join of the living meanwhile {:.0} ms",
        length.as_secs(),
        removed.as_secs_f64(),
        woken.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1_000.0
    ));
    assert!(slowest < JOIN, "a join of the living took {slowest:?}");
    assert_eq!(town.heard_of("ann").await, "+-+", "one removed and one added");
    count_one(&[&town.nodes[1]], "gema_cluster_leases_lost_total").await;
    assert_eq!(town.heard_of("bob").await, "+");
    assert_eq!(town.heard_of("cleo").await, "+");
}

/// Shorter than a lease: nobody is told anything, but what really changed.
async fn cut_off_for_a_moment() {
    let mut town = Town::new().await;
    town.wires[1].cut();
    town.members.remove(0);
    let dan = member(&town.nodes[1], "dan").await;
    sleep(Duration::from_secs(2)).await;
    town.wires[1].heal();
    let healed = Instant::now();
    town.hears("member_removed", "ann", PATIENCE).await;
    town.hears("member_added", "dan", PATIENCE).await;
    figure(&format!(
        "cut for 2 s: members known everywhere {:.1} s after the healing",
        healed.elapsed().as_secs_f64()
    ));
    for node in &town.nodes {
        lists(node, &["bob", "cleo", "dan", "watcher"], PATIENCE).await;
    }
    for (user, changes) in [("ann", "+-"), ("bob", "+"), ("cleo", "+"), ("dan", "+")] {
        assert_eq!(town.heard_of(user).await, changes, "{user}");
    }
    drop(dan);
}

/// Longer than a lease: to the others the node is dead, and back when it is healed. To its own clients nobody has gone.
async fn cut_off_for_long() {
    let town = Town::new().await;
    sleep(SETTLED).await;
    town.wires[1].cut();
    town.hears("member_removed", "ann", DEAD).await;
    lists(&town.nodes[1], &["ann", "bob", "cleo", "watcher"], PATIENCE).await;
    town.wires[1].heal();
    for node in &town.nodes {
        lists(node, &["ann", "bob", "cleo", "watcher"], DEAD).await;
    }
    let at_ann = town.members[0].texts("pusher_internal:member_removed");
    assert!(at_ann.is_empty(), "a node that was cut off told its clients: {at_ann:?}");
    assert_eq!(town.heard_of("ann").await, "+-+");
    assert_eq!(town.heard_of("bob").await, "+");
}

/// The same user comes and goes on two nodes in the same instant: everybody hears it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_comes_twice_at_once_comes_once() {
    const ROUNDS: usize = 20;
    let town = Town::new().await;
    for round in 0..ROUNDS {
        let user = format!("twin-{round}");
        let (one, other) = tokio::join!(member(&town.nodes[0], &user), member(&town.nodes[1], &user));
        town.hears("member_added", &user, PATIENCE).await;
        for node in &town.nodes {
            lists(node, &["ann", "bob", "cleo", "watcher", &user], PATIENCE).await;
        }
        drop((one, other));
        town.hears("member_removed", &user, PATIENCE).await;
    }
    for round in 0..ROUNDS {
        assert_eq!(town.heard_of(&format!("twin-{round}")).await, "+-");
    }
    figure(&format!("{ROUNDS} times the same user on two nodes at once: added once, removed once each time"));
}
