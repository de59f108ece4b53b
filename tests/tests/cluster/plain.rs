//! Plain commands of roles that can do without a Redis: on every kind of it, and nobody waits for one that is away.

use futures_util::FutureExt;
use gema_broadcast::Address;
use gema_cluster::redis::{Away, Plain};
use gema_tests::{Cut, PATIENCE, Redis, RedisCluster, Sentinels};
use tokio::time::{Duration, Instant, sleep, timeout};

const KEY: &str = "gema:{plain}:k";

fn link_to(url: &str) -> Plain {
    // A busy machine is no broken link.
    Plain::start(Address::parse(url).expect("an address").patient(8), "nobody serves")
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < 4 * PATIENCE, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a value is kept.
async fn keeps(link: &Plain, value: &str) {
    eventually(value, async || link.call("SET", KEY, vec![value.into()]).await.is_ok()).await;
    eventually(value, async || {
        link.call("GET", KEY, Vec::new()).await.is_ok_and(|kept| kept == value.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn issue_6_nobody_waits_for_a_redis_that_is_known_to_be_away() {
    let redis = Redis::start().await;
    let wire = Cut::before(&redis);
    let link = link_to(&wire.url());
    keeps(&link, "first").await;

    // Whoever finds out waits a moment; nobody after that.
    wire.silence();
    let asked = timeout(PATIENCE, link.call("GET", KEY, Vec::new())).await;
    assert_eq!(asked.expect("an answer"), Err(Away));
    assert_eq!(link.call("GET", KEY, Vec::new()).now_or_never(), Some(Err(Away)));
    wire.heal();
    keeps(&link, "second").await;

    // It finds out without being asked anything.
    wire.silence();
    eventually("a silent link is down", async || link.stands_for().is_none()).await;
    wire.heal();
    keeps(&link, "third").await;
    wire.cut();
    eventually("a broken link is down", async || link.stands_for().is_none()).await;
    assert_eq!(link.call("GET", KEY, Vec::new()).now_or_never(), Some(Err(Away)));
    wire.heal();
    keeps(&link, "fourth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_refused_takes_no_link_down() {
    let redis = Redis::start().await;
    let link = link_to(&redis.url());
    keeps(&link, "text").await;
    let stood = link.stands_for().expect("a link");
    assert_eq!(link.call("LPUSH", KEY, vec!["x".into()]).await, Err(Away));
    assert!(link.stands_for().expect("the same link") >= stood);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_in_a_cluster_and_behind_sentinels() {
    let (mut cluster, mut sentinels) = tokio::join!(RedisCluster::start(), Sentinels::start());
    let links = [link_to(&cluster.url()), link_to(&sentinels.url())];
    for link in &links {
        keeps(link, "before").await;
    }
    let (primary, _) = cluster.of_key(KEY);
    cluster.servers[primary].kill().await;
    sentinels.primary.kill().await;
    for link in &links {
        keeps(link, "after").await;
    }
}
