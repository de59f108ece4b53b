//! What happened and is not decided about yet: a bounded queue into which a channel pushes without waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gema_protocol::webhook::decide::Fact;
use gema_protocol::webhook::{Kind, Kinds};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Webhook;

/// The facts of one app, in the order in which they were pushed.
pub(crate) struct Facts {
    queue: Mutex<Queue>,
    news: Notify,
    needed: Kinds,
    bound: usize,
    started: Instant,
}

#[derive(Default)]
struct Queue {
    facts: VecDeque<(Duration, Fact)>,
    bytes: usize,
    lost: u64,
}

/// What endpoints want to hear of; a coming and its going together.
pub(super) fn wanted(webhooks: &[Webhook]) -> Kinds {
    let is_wanted = |kind: &Kind| webhooks.iter().any(|webhook| webhook.filter.kinds.contains(*kind));
    Kind::ALL.into_iter().filter(is_wanted).collect::<Kinds>().in_pairs()
}

impl Facts {
    /// `None` for an app without endpoints. `bound`: bytes that may wait. `clustered`: the nodes decide together about what
    /// is true of all of them, so that no fact about it is needed here.
    pub(crate) fn wanted_by(webhooks: &[Webhook], bound: usize, clustered: bool) -> Option<Arc<Self>> {
        let is_decided_here = |kind: &Kind| !clustered || matches!(kind, Kind::ClientEvent | Kind::CacheMiss);
        let wanted = wanted(webhooks);
        let here =
            Kind::ALL.into_iter().filter(|kind| wanted.contains(*kind) && is_decided_here(kind)).collect();
        let (queue, news, needed) = (Mutex::default(), Notify::new(), here);
        let facts = Self { queue, news, needed, bound, started: Instant::now() };
        (!webhooks.is_empty()).then(|| Arc::new(facts))
    }

    /// Is there an endpoint that facts of this kind matter to?
    pub(crate) fn need(&self, kind: Kind) -> bool {
        self.needed.contains(kind)
    }

    /// Adds a fact if it matters. Never waits: what has no room is counted as lost.
    pub(crate) fn push(&self, fact: Fact) {
        if !self.need(fact.kind()) {
            return;
        }
        let mut queue = self.queue.lock();
        if queue.bytes + fact.size() > fact.kind().share(self.bound) {
            queue.lost += 1;
        } else {
            queue.bytes += fact.size();
            // Within the lock, so that times in the queue never go back.
            let now = self.now();
            queue.facts.push_back((now, fact));
        }
        drop(queue);
        self.news.notify_one();
    }

    /// Time since the app was started.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The moment of a time of [`Facts::now`].
    pub(super) fn moment(&self, time: Duration) -> Instant {
        self.started + time
    }

    /// Everything that waits, each with its time, and how many were lost since the last call.
    pub(super) fn take(&self) -> (VecDeque<(Duration, Fact)>, u64) {
        let Queue { facts, lost, .. } = std::mem::take(&mut *self.queue.lock());
        (facts, lost)
    }

    /// Ends when something was pushed since it ended last.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}
