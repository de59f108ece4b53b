//! Events of one node for the clients of another, while the ways between them break: all of them, in order, once, and only
//! for those who were there when they were published.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{PATIENCE, Recorder, Said, Setup, Tally, figure};
use serde_json::json;
use tokio::time::sleep;

use crate::stage::{Fault, Publisher, Stage, linked, listener, long, say};

/// What a fault may take a healed node until it hears the others again: five times what it should.
const RESUME: Duration = Duration::from_secs(10);
/// An answer or a delivery on one node, five times what it should take at most.
const LOCAL: Duration = Duration::from_secs(5);
/// Who came so much later than an event was published does not get it. The nodes know each other's time only as well as a
/// busy machine lets them.
const TOO_LATE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn cuts_of_a_moment_lose_nothing() {
    let faults = [Fault::PublisherCut, Fault::SubscriberCut, Fault::BothCut, Fault::RedisEmpty];
    let length = if long() { 30 } else { 4 };
    join_all(faults.map(|fault| survive(fault, Duration::from_secs(length)))).await;
}

/// Long enough that the nodes notice by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_loses_nothing() {
    let faults = [Fault::PublisherSilent, Fault::SubscriberSilent, Fault::BothSilent];
    let length = if long() { 30 } else { 5 };
    join_all(faults.map(|fault| survive(fault, Duration::from_secs(length)))).await;
}

/// The longest cut after which nothing may be missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_a_minute_loses_nothing() {
    if long() {
        let faults = [Fault::PublisherCut, Fault::SubscriberCut, Fault::BothCut, Fault::BothSilent];
        join_all(faults.map(|fault| survive(fault, Duration::from_secs(60)))).await;
    }
}

async fn survive(fault: Fault, length: Duration) {
    let mut stage = Stage::start().await;
    let (at_a, at_b) = tokio::join!(listener(&stage.a, "room"), listener(&stage.b, "room"));
    let publisher = Publisher::start(stage.a.api(), "room");
    at_b.until("events before the fault", PATIENCE, |came| came.len() >= 10).await;

    stage.strike(fault).await;
    sleep(length / 2).await;
    let asked = Instant::now();
    let newcomer = listener(&stage.b, "room").await;
    let joined = Instant::now();
    assert!(asked.elapsed() < LOCAL, "{fault:?}: a join took {:?}", asked.elapsed());
    sleep(length / 2).await;
    stage.heal(fault).await;
    let healed = Instant::now();
    let name = format!("{fault:?} for {} s", length.as_secs());
    let resumed = first_after(&at_b, &stage, healed, &name).await;

    let said = publisher.stop().await;
    let last = said.last().expect("events").number.to_string();
    for recorder in [&at_a, &at_b, &newcomer] {
        recorder.until_text("n", &last).await;
    }
    let tally = Tally::of(&said, &at_b.numbers("n"), healed);
    figure(&format!("{name}: {tally}; heard again after {:.2} s", resumed.as_secs_f64()));
    assert!(tally.is_clean(), "{name}: {tally}");
    on_time(&said, &at_a, &name);
    only_what_came_after(&said, &newcomer, (asked, joined), &name);
    stage.nothing_is_wrong(&name);
}

/// How long after the healing an event came that was published after it.
async fn first_after(at_b: &Recorder, stage: &Stage, healed: Instant, name: &str) -> Duration {
    stage.a.api().publish("room", "healed", "").await;
    let is_it = |frame: &gema_tests::Frame| frame.event == "healed";
    at_b.until(name, RESUME, |came| came.iter().any(|(_, frame)| is_it(frame))).await;
    at_b.texts("healed")[0].0.duration_since(healed)
}

/// The clients of the same node have noticed nothing.
fn on_time(said: &[Said], at_a: &Recorder, name: &str) {
    let came = at_a.numbers("n");
    let tally = Tally::of(said, &came, Instant::now());
    assert!(tally.is_clean(), "{name}, at the node itself: {tally}");
    for (said, (at, _)) in said.iter().zip(&came) {
        let (answer, delivery) = (said.to - said.from, at.saturating_duration_since(said.from));
        assert!(answer < LOCAL && delivery < LOCAL, "{name}: answered in {answer:?}, heard in {delivery:?}");
    }
}

/// A newcomer gets everything that was published once it was in, and nothing of before it asked.
fn only_what_came_after(said: &[Said], newcomer: &Recorder, joined: (Instant, Instant), name: &str) {
    let (asked, confirmed) = joined;
    let due: Vec<Said> = said.iter().filter(|said| said.from >= confirmed).copied().collect();
    let came = newcomer.numbers("n");
    let tally = Tally::of(&due, &came, Instant::now());
    assert!(tally.is_clean(), "{name}, for a newcomer: {tally}");
    let early = said.iter().filter(|said| said.to + TOO_LATE < asked);
    let early: Vec<usize> = early.map(|said| said.number).collect();
    let wrong = came.iter().filter(|(_, number)| early.contains(number)).count();
    assert_eq!(wrong, 0, "{name}: events from before somebody came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_after_the_nodes_gets_what_waited() {
    let mut stage = Stage::start_as(Setup::broadcast(), Some(Fault::RedisEmpty)).await;
    let (at_a, at_b) = tokio::join!(listener(&stage.a, "room"), listener(&stage.b, "room"));
    let publisher = Publisher::start(stage.a.api(), "room");
    at_a.until("events of the same node", PATIENCE, |came| came.len() >= 20).await;
    stage.heal(Fault::RedisEmpty).await;
    let healed = Instant::now();
    let resumed = first_after(&at_b, &stage, healed, "Redis absent at start").await;
    let said = publisher.stop().await;
    at_b.until_text("n", &said.last().expect("events").number.to_string()).await;
    let tally = Tally::of(&said, &at_b.numbers("n"), healed);
    figure(&format!("Redis absent at start: {tally}; heard after {:.2} s", resumed.as_secs_f64()));
    assert!(tally.is_clean() && tally.replayed >= 20, "{tally}");
    on_time(&said, &at_a, "Redis absent at start");
    stage.nothing_is_wrong("Redis absent at start");
}

/// Redis loses its memory while a node cannot hear, and the publisher has nothing more to say.
#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgot_before_a_node_heard_it_is_told_again_unasked() {
    let mut stage = Stage::start().await;
    let at_b = listener(&stage.b, "room").await;
    stage.strike(Fault::SubscriberCut).await;
    let mut said = Vec::new();
    for number in 0..20 {
        said.push(say(&stage.a.api(), "room", number).await);
    }
    linked(&stage.a).await;
    stage.strike(Fault::RedisEmpty).await;
    stage.heal(Fault::RedisEmpty).await;
    let healed = Instant::now();
    at_b.until_text("n", "19").await;
    let tally = Tally::of(&said, &at_b.numbers("n"), healed);
    figure(&format!("Redis empty before a node has heard: {tally}"));
    assert!(tally.is_clean(), "{tally}");
    stage.nothing_is_wrong("Redis empty before a node has heard");
}

/// Redis comes back as it was a while ago, as a replica may that takes over. What it lacks others may have heard or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_old_memory_is_told_what_it_lacks() {
    let mut stage = Stage::start().await;
    let at_b = listener(&stage.b, "room").await;
    let mut said = Vec::new();
    for number in 0..60 {
        match number {
            20 => stage.redis.save(),
            30 => stage.strike(Fault::SubscriberCut).await,
            40 => {
                linked(&stage.a).await;
                stage.strike(Fault::RedisEmpty).await;
                stage.redis.start_again().await;
                linked(&stage.a).await;
            }
            _ => {}
        }
        said.push(say(&stage.a.api(), "room", number).await);
        if number == 29 {
            at_b.until_text("n", "29").await;
        }
    }
    stage.heal(Fault::SubscriberCut).await;
    let healed = Instant::now();
    at_b.until_text("n", "59").await;
    let tally = Tally::of(&said, &at_b.numbers("n"), healed);
    figure(&format!("Redis with old memory: {tally}"));
    assert!(tally.is_clean(), "{tally}");
    stage.nothing_is_wrong("Redis with old memory");
}

/// A publisher that was told "the cluster has it" need not live for it to be true.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_event_outlives_its_node() {
    let mut stage = Stage::start().await;
    let at_b = listener(&stage.b, "room").await;
    stage.strike(Fault::SubscriberCut).await;
    let mut said = Vec::new();
    for number in 0..20 {
        let from = Instant::now();
        let body = json!({"name": "n", "channels": ["room"], "data": number.to_string()});
        let answer = stage.a.api().post_confirmed("/events", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        said.push(Said { number, from, to: Instant::now() });
    }
    stage.a.kill();
    stage.heal(Fault::SubscriberCut).await;
    let healed = Instant::now();
    at_b.until_text("n", "19").await;
    let tally = Tally::of(&said, &at_b.numbers("n"), healed);
    figure(&format!("publisher killed after its confirmation: {tally}"));
    assert!(tally.is_clean(), "{tally}");
    assert!(stage.b.is_alive() && !stage.b.log().contains("lost: "));
}
