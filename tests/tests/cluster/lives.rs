//! Nodes that die, sleep, are cut off or are forgotten. Time is the test's own: nobody waits for a lease to end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use gema_cluster::engine::Engine;
use gema_cluster::entry::Origin;
use gema_cluster::lease::LEASE;
use gema_cluster::telling::{Telling, Told};
use gema_tests::Memory;
use tokio::time::{Instant, sleep};

use super::contract::{channel, telling};
use super::nodes::Running;

/// Within this a dead node is to be gone.
const GONE: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);

/// Says under a node's id that ann is there.
async fn ann_is_at(running: &Running, number: u64) -> Told {
    let ann = Telling { node: running.node.id(), ..telling(number, 1, &[("ann", true)]) };
    running.engine.tell(&ann).await.expect("an answer")
}

/// The nodes that are said to have clients.
async fn said_of(running: &Running) -> Vec<Origin> {
    let snapshot = running.engine.snapshot(&channel("presence-c")).await.expect("an answer");
    snapshot.facts.iter().map(|fact| fact.node).collect()
}

/// How long it takes until exactly these have clients.
async fn until_said_of(running: &Running, expected: &[Origin]) -> Duration {
    let start = Instant::now();
    while said_of(running).await != expected {
        assert!(start.elapsed() < 10 * LEASE, "never: {:?}", said_of(running).await);
        sleep(SECOND / 10).await;
    }
    start.elapsed()
}

fn lost(running: &Running) -> u64 {
    running.node.deaths().leases_lost.load(Ordering::Relaxed)
}

fn reaped(running: &Running) -> u64 {
    running.node.deaths().nodes_reaped.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_dead_are_gone_soon_and_buried_once() {
    let memory = Memory::default();
    let (a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    let c = Running::start(&memory, 3).await;
    sleep(2 * LEASE).await;
    ann_is_at(&a, 1).await;
    ann_is_at(&b, 2).await;
    drop(a);
    let took = until_said_of(&c, &[Origin(2)]).await;
    assert!(took > LEASE * 7 / 10 && took < GONE, "{took:?}");
    sleep(SECOND).await;
    assert_eq!((reaped(&b) + reaped(&c), lost(&b) + lost(&c)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_judges_nobody() {
    let memory = Memory::default();
    let a = Running::start(&memory, 1).await;
    ann_is_at(&a, 1).await;
    drop(a);
    sleep(LEASE).await;
    let b = Running::start(&memory, 2).await;
    let took = until_said_of(&b, &[]).await;
    assert!(took >= LEASE && took < GONE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_for_long_is_another_one_afterwards() {
    let memory = Memory::default();
    let (a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    sleep(2 * LEASE).await;
    ann_is_at(&a, 1).await;
    a.engine.set_link(false);
    let took = until_said_of(&b, &[]).await;
    assert!(took < GONE, "{took:?}");
    assert_eq!(a.node.id(), Origin(1), "nobody could tell it");
    a.engine.set_link(true);
    sleep(SECOND).await;
    assert_ne!(a.node.id(), Origin(1));
    assert_eq!((lost(&a), lost(&b), reaped(&b)), (1, 0, 1));
    assert!(matches!(ann_is_at(&a, 1).await, Told::Taken(_)));
    sleep(3 * LEASE).await;
    assert_eq!(said_of(&b).await, [a.node.id()], "it lives on");
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_changes_nothing_but_who_may_judge() {
    let memory = Memory::default();
    let (a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    sleep(2 * LEASE).await;
    ann_is_at(&b, 1).await;
    a.engine.set_link(false);
    sleep(LEASE / 2).await;
    a.engine.set_link(true);
    drop(b);
    let took = until_said_of(&a, &[]).await;
    assert!(took >= LEASE && took < GONE, "{took:?}");
    assert_eq!((a.node.id(), lost(&a)), (Origin(1), 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_forgotten_is_another_one_and_takes_its_old_words_away() {
    let memory = Memory::default();
    let a = Running::start(&memory, 1).await;
    sleep(SECOND).await;
    memory.restart();
    ann_is_at(&a, 1).await;
    until_said_of(&a, &[]).await;
    assert_ne!(a.node.id(), Origin(1));
    assert_eq!(lost(&a), 1);
    let late = Telling { node: Origin(1), ..telling(9, 1, &[("ann", true)]) };
    assert_eq!(a.engine.tell(&late).await, Ok(Told::Dead));
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_over_the_living() {
    let memory = Memory::default();
    let (a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    a.clients.count.store(3, Ordering::Relaxed);
    b.clients.count.store(4, Ordering::Relaxed);
    sleep(SECOND).await;
    assert_eq!((a.node.connections().await, b.node.connections().await), (7, 7));
    b.clients.count.store(5, Ordering::Relaxed);
    assert_eq!(b.node.connections().await, 8, "of itself it knows");
    assert_eq!(a.node.connections().await, 8, "and has told with its question");
    drop(b);
    sleep(GONE).await;
    assert_eq!(a.node.connections().await, 3);
    a.engine.set_link(false);
    a.linked(false).await;
    assert_eq!(a.node.connections().await, 3);
}

/// Lets `many` clients try to come in at once; how many got in.
async fn rush(running: &Running, many: usize) -> u64 {
    let clients = running.clients.clone();
    let take = |most| {
        let one_more = |count| (count < most).then_some(count + 1);
        clients.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    };
    let tries = join_all((0..many).map(|_| running.node.place(take))).await;
    tries.iter().filter(|is_in| **is_in).count() as u64
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_over_all_nodes_wherever_the_clients_come() {
    for limit in [1, 10, 1_000] {
        let memory = Memory::default();
        let start = |origin| Running::start_limited(&memory, origin, Some(limit));
        let (a, b, c) = (start(1).await, start(2).await, start(3).await);
        sleep(SECOND).await;
        // All at one node; then some leave and as many come to the others.
        let lopsided = rush(&a, 2_000).await;
        assert!(lopsided >= limit - limit / 20 && lopsided <= limit + limit / 20, "{lopsided} of {limit}");
        let (at_b, at_c) = (rush(&b, 50).await, rush(&c, 50).await);
        assert!(lopsided + at_b + at_c <= limit + limit / 20, "{lopsided} + {at_b} + {at_c} of {limit}");
        a.clients.count.store(limit / 2, Ordering::Relaxed);
        sleep(SECOND).await;
        let (at_b, at_c) = tokio::join!(rush(&b, 2_000), rush(&c, 2_000));
        let all: u64 = [&a, &b, &c].map(|node| node.clients.count.load(Ordering::Relaxed)).iter().sum();
        assert!(
            all >= limit - limit / 20 && all <= limit + limit / 20,
            "{at_b} and {at_c}: {all} of {limit}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_link_nobody_waits_for_a_place_and_the_limit_holds_all_the_same() {
    let memory = Memory::default();
    let start = |origin| Running::start_limited(&memory, origin, Some(100));
    let (a, b) = (start(1).await, start(2).await);
    assert_eq!(rush(&a, 20).await, 20);
    sleep(LEASE / 2).await;
    for node in [&a, &b] {
        node.engine.set_link(false);
        node.linked(false).await;
    }
    let before = Instant::now();
    let (at_a, at_b) = (rush(&a, 200).await, rush(&b, 200).await);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!((90..=100).contains(&(20 + at_a + at_b)), "20 + {at_a} + {at_b}");
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_in_order_is_gone_at_once() {
    let memory = Memory::default();
    let (a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    a.clients.count.store(3, Ordering::Relaxed);
    ann_is_at(&a, 1).await;
    sleep(SECOND).await;
    assert_eq!(b.node.connections().await, 3);
    a.node.resign().await;
    assert_eq!((said_of(&b).await, b.node.connections().await), (vec![], 0));
    sleep(3 * LEASE).await;
    assert_eq!((lost(&a), reaped(&a) + reaped(&b), a.node.id()), (0, 0, Origin(1)), "and does not come back");
}
