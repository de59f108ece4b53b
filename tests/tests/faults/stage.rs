//! Two nodes and their Redis, what can happen to them, and somebody who publishes all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gema_tests::{Api, Cut, Gema, PATIENCE, Recorder, Redis, Said, Setup};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two events of a publisher.
const PACE: Duration = Duration::from_millis(20);

/// Are the long forms wanted?
pub(crate) fn long() -> bool {
    std::env::var_os("GEMA_FAULTS").is_some_and(|form| form == "long")
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The wire of the node where events are published.
    PublisherCut,
    /// The wire of the node where they are heard.
    SubscriberCut,
    BothCut,
    /// Nothing arrives and nobody is told.
    PublisherSilent,
    SubscriberSilent,
    BothSilent,
    /// Everything to and from Redis takes a second in each direction.
    BothFar,
    /// Redis ends, and starts again without its memory.
    RedisEmpty,
}

/// Two nodes, each with a wire to one Redis. Events are published at `a` and heard at `b`.
pub(crate) struct Stage {
    pub(crate) redis: Redis,
    pub(crate) to_a: Cut,
    pub(crate) to_b: Cut,
    pub(crate) a: Gema,
    pub(crate) b: Gema,
}

impl Stage {
    /// Both nodes, linked.
    pub(crate) async fn start() -> Self {
        let stage = Self::start_as(Setup::broadcast(), None).await;
        stage.linked().await;
        stage
    }

    /// Both nodes, started as told, and while there is this fault, if any.
    pub(crate) async fn start_as(setup: Setup, fault: Option<Fault>) -> Self {
        let mut redis = Redis::start().await;
        let (to_a, to_b) = (Cut::before(&redis), Cut::before(&redis));
        if fault == Some(Fault::RedisEmpty) {
            redis.kill().await;
        }
        let (a, b) = tokio::join!(setup.clone().node(&to_a.url()).start(), setup.node(&to_b.url()).start());
        Self { redis, to_a, to_b, a, b }
    }

    /// Waits until Redis takes what either node publishes.
    pub(crate) async fn linked(&self) {
        tokio::join!(linked(&self.a), linked(&self.b));
    }

    pub(crate) async fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::PublisherCut => self.to_a.cut(),
            Fault::SubscriberCut => self.to_b.cut(),
            Fault::BothCut => [&self.to_a, &self.to_b].into_iter().for_each(Cut::cut),
            Fault::PublisherSilent => self.to_a.silence(),
            Fault::SubscriberSilent => self.to_b.silence(),
            Fault::BothSilent => [&self.to_a, &self.to_b].into_iter().for_each(Cut::silence),
            Fault::BothFar => {
                let far = Duration::from_secs(1);
                [&self.to_a, &self.to_b].into_iter().for_each(|wire| wire.lengthen(far));
            }
            Fault::RedisEmpty => self.redis.kill().await,
        }
    }

    pub(crate) async fn heal(&mut self, fault: Fault) {
        if fault == Fault::RedisEmpty {
            self.redis.start_again().await;
        }
        [&self.to_a, &self.to_b].into_iter().for_each(Cut::heal);
    }

    /// Both processes run, and neither says that it lost an event.
    pub(crate) fn nothing_is_wrong(&mut self, name: &str) {
        for node in [&mut self.a, &mut self.b] {
            assert!(node.is_alive(), "{name}: a fault has ended a process");
            assert!(!node.log().contains("lost: "), "{name}: events are counted as lost:\n{}", node.log());
        }
    }
}

/// Waits until Redis takes what the node publishes.
pub(crate) async fn linked(node: &Gema) {
    let start = Instant::now();
    let body = json!({"name": "linked", "channels": ["linked"], "data": ""});
    while node.api().post_confirmed("/events", &body).await.status != 200 {
        assert!(start.elapsed() < PATIENCE, "no link to Redis:\n{}", node.log());
    }
}

/// A client that listens in a channel.
pub(crate) async fn listener(node: &Gema, channel: &str) -> Recorder {
    Recorder::of(node.subscriber(channel).await)
}

/// Publishes numbers from 0, one after the other, until told to stop.
pub(crate) struct Publisher {
    stop: Arc<AtomicBool>,
    publishing: JoinHandle<Vec<Said>>,
}

impl Publisher {
    pub(crate) fn start(api: Api, channel: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let publishing = tokio::spawn(async move {
            let mut said = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                said.push(say(&api, channel, said.len()).await);
                sleep(PACE).await;
            }
            said
        });
        Self { stop, publishing }
    }

    /// What it has published.
    pub(crate) async fn stop(self) -> Vec<Said> {
        self.stop.store(true, Ordering::Release);
        self.publishing.await.expect("every event is answered with 200")
    }
}

/// Publishes one number.
pub(crate) async fn say(api: &Api, channel: &str, number: usize) -> Said {
    let from = Instant::now();
    api.publish(channel, "n", &number.to_string()).await;
    Said { number, from, to: Instant::now() }
}

/// The longest answer and the percentile, in milliseconds.
pub(crate) fn percentile(times: &mut [Duration], hundredth: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * hundredth / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, Duration::as_secs_f64) * 1_000.0
}
