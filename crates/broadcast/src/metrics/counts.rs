//! What has happened since the start. Counters only grow; relaxed, for nothing is decided by them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// One number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts so many more.
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// How many so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What went in and out of one app.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Connections that were let in.
    pub(crate) opened: Counter,
    /// Connections that were cut because their client did not read.
    pub(crate) slow: Counter,
    /// Messages of clients, and their bytes.
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    /// Messages of clients that were answered with an error.
    pub(crate) refused: Counter,
    /// Events that publishers and clients of this server have published, once per channel.
    pub(crate) published: Counter,
    /// Events handed to subscribers, once per subscriber, and the bytes of their frames.
    pub(crate) delivered: Counter,
    pub(crate) delivered_bytes: Counter,
}

/// What became of the events of one app's webhooks.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounts {
    /// Taken by an endpoint.
    pub(crate) sent: Counter,
    /// Requests that were not taken; most are tried again.
    pub(crate) failed: Counter,
    /// Given up.
    pub(crate) dropped: Counter,
}

/// Counts by kind, where there are few kinds and little haste.
#[derive(Debug)]
pub(crate) struct Tally<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Copy> Tally<K> {
    /// Counts one more of this kind.
    pub(crate) fn add(&self, kind: K) {
        *self.0.lock().entry(kind).or_default() += 1;
    }

    /// All kinds that came up, in their order.
    pub(crate) fn all(&self) -> Vec<(K, u64)> {
        self.0.lock().iter().map(|(kind, count)| (*kind, *count)).collect()
    }
}
