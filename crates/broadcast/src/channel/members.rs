//! Who subscribes to one channel, in a form that is cheap to join, to leave and to walk.
//!
//! Subscribers stand in chunks of [`CHUNK`]. A fan-out takes a snapshot, one pointer per chunk, and walks it without a
//! lock, so that it can pause between chunks. A join or leave meanwhile copies the one chunk it touches; without a
//! fan-out under way it copies nothing. So a join costs the same in a channel of ten and of ten thousand.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::outbound::Outbound;

/// Subscribers per chunk: also how many a fan-out serves before it lets other work run.
pub(crate) const CHUNK: usize = 128;

/// One connection's place in one channel.
pub(crate) struct Subscription {
    /// Where its events go.
    pub(crate) outbound: Arc<Outbound>,
    /// Cleared, under the outbound queue's lock, when the unsubscription is processed.
    pub(crate) live: AtomicBool,
    /// Number of the last event published before the join: only newer ones are for this subscriber.
    pub(crate) since: u64,
    /// When it joined, by the cluster's clock in milliseconds since 1970; 0 on a node that is alone.
    pub(crate) joined_ms: u64,
}

/// A run of subscribers that a snapshot shares.
pub(crate) type Chunk = Arc<Vec<Arc<Subscription>>>;

/// Where in [`Members`] a subscription stands: hand it back to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot(usize);

/// The subscribers of one channel.
#[derive(Default)]
pub(crate) struct Members {
    chunks: Vec<Chunk>,
    /// Chunks with room. A chunk stands here once.
    open: Vec<usize>,
    len: usize,
}

impl Members {
    /// How many subscribe.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a subscription.
    pub(crate) fn join(&mut self, subscription: Arc<Subscription>) -> Slot {
        let at = self.chunk_with_room();
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.push(subscription);
        if chunk.len() == CHUNK {
            self.open.pop();
        }
        self.len += 1;
        Slot(at)
    }

    /// Takes a subscription out again. `slot` is what its [`Members::join`] returned.
    pub(crate) fn leave(&mut self, slot: Slot, subscription: &Arc<Subscription>) {
        let Some(chunk) = self.chunks.get_mut(slot.0) else { return };
        let Some(at) = chunk.iter().position(|s| Arc::ptr_eq(s, subscription)) else { return };
        let was_full = chunk.len() == CHUNK;
        let chunk = Arc::make_mut(chunk);
        chunk.swap_remove(at);
        if chunk.is_empty() {
            chunk.shrink_to_fit();
        }
        if was_full {
            self.open.push(slot.0);
        }
        self.len -= 1;
    }

    /// Everybody who subscribes now, for a walk without the lock.
    pub(crate) fn snapshot(&self) -> Vec<Chunk> {
        self.chunks.iter().filter(|chunk| !chunk.is_empty()).cloned().collect()
    }

    fn chunk_with_room(&mut self) -> usize {
        if let Some(at) = self.open.last() {
            return *at;
        }
        self.chunks.push(Chunk::default());
        self.open.push(self.chunks.len() - 1);
        self.chunks.len() - 1
    }
}
