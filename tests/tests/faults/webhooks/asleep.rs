//! A node that is stopped with webhooks in hand, and goes on: while it counts as alive nobody repeats anything, and once it
//! was taken for dead whatever is repeated is the same, word for word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gema_tests::{Cut, Gema, PATIENCE, Receiver, Redis, figure};
use tokio::time::sleep;

use super::{BackEnd, SETTLED, member, nodes};
use crate::stage::listener;

/// Longer than a request may take, shorter than a lease.
const NAP: Duration = Duration::from_millis(6_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_sleeps_makes_nothing_come_twice() {
    tokio::join!(taken_for_dead(), alive_all_the_time());
}

/// Waits until a node says that so many users are in a channel.
async fn has_users(node: &Gema, channel: &str, count: usize) {
    let start = Instant::now();
    loop {
        let answer = node.api().get(&format!("/channels/{channel}/users"), &[]).await.ok();
        if answer["users"].as_array().expect("users").len() == count {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{channel}: {answer}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn taken_for_dead() {
    let redis = Redis::start().await;
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = silent.clone();
    let hooks = Receiver::answering(move |_, _| (!is_silent.load(Ordering::Acquire)).then_some(200)).await;
    let nodes = nodes(&redis, &hooks.url(), 2).await;
    let mut back_end = BackEnd::new(hooks, &nodes[0].app);
    let leaver = member(&nodes[0], "presence-left", "ann").await;
    back_end.hears(&["member_added presence-left ann"]).await;
    sleep(SETTLED).await;

    silent.store(true, Ordering::Release);
    let ann = member(&nodes[0], "presence-room", "ann").await;
    let begun = back_end.hooks.next().await;
    back_end.keep(&begun);
    // He waits for the channel's turn, and the going of the other for its time.
    let bob = member(&nodes[0], "presence-room", "bob").await;
    drop(leaver);
    has_users(&nodes[1], "presence-room", 2).await;
    has_users(&nodes[1], "presence-left", 0).await;
    nodes[0].freeze();
    let stopped = Instant::now();
    silent.store(false, Ordering::Release);

    back_end.hears(&["channel_vacated presence-left", "channel_vacated presence-room"]).await;
    let slept = stopped.elapsed();
    nodes[0].thaw();
    back_end.until("the room is occupied again", |back_end| back_end.named().len() == 4 + 6 + 3).await;
    let marks = (listener(&nodes[0], "mark-a").await, listener(&nodes[1], "mark-b").await);
    back_end.hears(&["channel_occupied mark-a", "channel_occupied mark-b"]).await;
    // What the sleeper was about to send again.
    sleep(Duration::from_secs(5)).await;
    back_end.hooks.rest().into_iter().for_each(|delivery| back_end.keep(&delivery));

    figure(&format!(
        "SIGSTOP for {:.1} s with webhooks in hand: {} events, none lost or doubled; {} deliveries came again, word for word",
        slept.as_secs_f64(),
        back_end.named().len(),
        back_end.repeats
    ));
    let left = ["channel_occupied", "member_added ann", "member_removed ann", "channel_vacated"];
    assert_eq!(back_end.of("presence-left"), left);
    let mut room = back_end.of("presence-room");
    // Two who go, or come back, at once do so in any order.
    [3..5, 7..9].into_iter().for_each(|pair| room[pair].sort_unstable());
    let once = ["channel_occupied", "member_added ann", "member_added bob"];
    let gone = ["member_removed ann", "member_removed bob", "channel_vacated"];
    assert_eq!(room, [once, gone, once].concat());
    drop((ann, bob, marks));
}

async fn alive_all_the_time() {
    let (redis, hooks) = (Redis::start().await, Receiver::start().await);
    let wire = Cut::to(hooks.at());
    let nodes = nodes(&redis, &format!("http://{}/hook", wire.at()), 2).await;
    let mut back_end = BackEnd::new(hooks, &nodes[0].app);
    wire.lengthen(Duration::from_secs(1));
    let ann = member(&nodes[0], "presence-room", "ann").await;
    back_end.hears(&["member_added presence-room ann"]).await;
    // The answer is on its way, and finds nobody awake until its time is over.
    nodes[0].freeze();
    sleep(NAP).await;
    nodes[0].thaw();
    wire.heal();
    let mark = listener(&nodes[0], "mark").await;
    back_end.hears(&["channel_occupied mark"]).await;
    let metrics = nodes[0].metrics().await;
    let of = |name: &str| metrics.get(&format!("gema_{name}_total{{app=\"{}\"}}", nodes[0].app.id));
    // A machine that is very busy may stop the other node, too.
    if of("cluster_leases_lost") < 0.5 {
        assert!(of("webhook_requests_failed") < 0.5, "an answer that had come:\n{}", nodes[0].log());
        assert_eq!(back_end.repeats, 0);
        let all =
            ["channel_occupied presence-room", "member_added presence-room ann", "channel_occupied mark"];
        assert_eq!(back_end.named(), all);
    }
    drop((ann, mark));
}
