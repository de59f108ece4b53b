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

impl Facts {
    /// `None` for an app without endpoints. `bound`: bytes that may wait.
    pub(crate) fn wanted_by(webhooks: &[Webhook], bound: usize) -> Option<Arc<Self>> {
        let all = Kind::ALL.into_iter();
        let wanted = all.filter(|kind| webhooks.iter().any(|webhook| webhook.filter.kinds.contains(*kind)));
        let (queue, news, needed) = (Mutex::default(), Notify::new(), wanted.collect::<Kinds>().in_pairs());
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
