//! One of two servers restarts under load.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;

use gema_tests::{Api, Gema, Nginx, Redis, Setup, many_files};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::crowd::{Crowd, channel};

/// Clients in one channel.
const PER_CHANNEL: usize = 20;
/// Between two publishes: a hundred per second, which go to both servers in turn.
const PAUSE: Duration = Duration::from_millis(10);
/// How long everybody may take to be back once the last was sent away, on a quiet machine.
const BACK: Duration = Duration::from_secs(10);
/// How much slower a busy machine may be where slowness is no fault.
const PATIENCE: Duration = Duration::from_secs(120);

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn node(redis: &Redis, drain: usize, port: u16) -> Setup {
    Setup::broadcast()
        .env("REVERB_SCALING_ENABLED", "true")
        .env("REDIS_URL", &redis.url())
        .env("GEMA_DRAIN_SECONDS", &drain.to_string())
        .env("GEMA_METRICS_PORT", "0")
        .env("REVERB_SERVER_PORT", &port.to_string())
}

/// Publishes without a pause until it is told to stop; how many events went to each channel comes back.
struct Publisher {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Vec<u64>>,
}

impl Publisher {
    fn start(api: Api, channels: usize) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        Self { stop, task: tokio::spawn(publish_until(api, channels, stopped)) }
    }

    async fn stop(self) -> Vec<u64> {
        let _ = self.stop.send(());
        self.task.await.expect("no publish was refused")
    }
}

async fn publish_until(
    api: Api,
    channels: usize,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> Vec<u64> {
    let (mut published, mut flying) = (vec![0; channels], JoinSet::new());
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in (0..channels).cycle() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        let event =
            json!({"name": "e", "channels": [channel(number)], "data": published[number].to_string()});
        published[number] += 1;
        let api = api.clone();
        flying.spawn(async move { api.post("/events", &event).await });
        while let Some(answer) = flying.try_join_next() {
            answer.expect("an answer").ok();
        }
    }
    while let Some(answer) = flying.join_next().await {
        answer.expect("an answer").ok();
    }
    published
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a server has its link to Redis.
pub(crate) async fn linked(gema: &Gema) {
    gema.metrics_when(|metrics| metrics.get("gema_cluster_linked{app=\"424242\"}") == 1.0).await;
}

/// A figure for people; not through `println!`, which a passing test does not show.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "» {line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_sends_clients_over_in_turn_and_loses_nothing() {
    many_files();
    let (clients, drain) = (setting("GEMA_ROLLING_CLIENTS", 2_000), setting("GEMA_ROLLING_SECONDS", 5));
    let channels = clients / PER_CHANNEL;
    let redis = Redis::start().await;
    let (mut a, b) = tokio::join!(node(&redis, drain, 0).start(), node(&redis, drain, 0).start());
    tokio::join!(linked(&a), linked(&b));
    let nginx = Nginx::start(&[a.broadcast, b.broadcast], &[a.broadcast]).await;
    let (mut api, target, at): (_, _, SocketAddr) = (a.api(), a.target(), a.broadcast);
    api.at = nginx.at;
    let crowd = Crowd::start(nginx.at, &target, clients, channels);
    until("everybody is there", || crowd.subscribed() == clients).await;
    let of_a = a.metrics().await.get("gema_connections{app=\"424242\"}");
    let publisher = Publisher::start(api.clone(), channels);
    sleep(Duration::from_secs(2)).await;

    let told = Instant::now();
    a.terminate();
    let window = Duration::from_secs(drain as u64);
    sleep_until(told + window).await;
    until("everybody is back", || crowd.subscribed() == clients).await;
    let back = told.elapsed();
    assert!(a.ended_within(PATIENCE).await.success(), "{}", a.log());
    let last_line = a.log().lines().last().unwrap_or_default().to_owned();
    let a = node(&redis, drain, at.port()).start().await;
    linked(&a).await;
    a.metrics_when(|metrics| !metrics.series("gema_http_requests_total").is_empty()).await;
    let published = publisher.stop().await;

    let seconds = crowd.handshakes_since(told);
    let peak = seconds.iter().copied().max().unwrap_or_default();
    say(&format!(
        "rolling restart of {clients} clients over {drain} s, {of_a} on the server that restarts: handshakes per second {seconds:?}, \
         all back after {:.1} s; {} events published, none refused; {last_line}",
        back.as_secs_f64(),
        published.iter().sum::<u64>()
    ));
    assert!(of_a >= clients as f64 / 4.0 && of_a <= clients as f64 * 0.75, "nginx spreads them: {of_a}");
    assert!(peak <= clients * 3 / 2 / drain, "a herd: {seconds:?}");
    assert!(back <= window + 5 * BACK, "back after {back:?}");
    until("what was published last has come everywhere", || missing(&crowd, &published) == 0).await;
    let (stayed, repeated) = check_lives(&crowd, &published);
    say(&format!(
        "{stayed} clients stayed and heard everything once; those who moved heard {repeated} events twice"
    ));
    assert_eq!(stayed, clients - of_a as usize, "who was not on the server that restarted stays where it is");
    assert!(
        last_line.contains(&format!("closed: {of_a}, gone before their turn: 0, cut: 0;")),
        "{last_line}"
    );
    assert!(last_line.contains("events that other servers will not get: 0;"), "{last_line}");
    drop(b);
}

/// Events that clients who stayed have not heard yet.
fn missing(crowd: &Crowd, published: &[u64]) -> u64 {
    let mut missing = 0;
    crowd.each(|channel, life| {
        if life.closes.is_empty() {
            missing += published[channel].saturating_sub(life.heard.len() as u64);
        }
    });
    missing
}

/// Who stayed has heard everything once, who moved was closed once and was back at the first try; how many stayed comes back,
/// and how many events those who moved heard twice. That may be, on a busy machine: what a server publishes while it has no
/// link to Redis reaches the others later, and whether a client had moved by then is judged by clocks that agree only to a
/// round trip. It was seen once, and that this was the cause was not proven.
fn check_lives(crowd: &Crowd, published: &[u64]) -> (usize, usize) {
    let (mut stayed, mut repeated) = (0, 0);
    crowd.each(|channel, life| {
        let heard: BTreeSet<u64> = life.heard.iter().copied().collect();
        if life.closes.is_empty() {
            stayed += 1;
            assert_eq!(heard.len(), life.heard.len(), "twice: {:?}", life.heard);
            assert_eq!(heard.len() as u64, published[channel], "{:?}", life.heard);
        } else {
            repeated += life.heard.len() - heard.len();
            assert_eq!(life.closes, [4200], "once, and at the first try");
        }
    });
    (stayed, repeated)
}
