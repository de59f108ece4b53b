//! Places for connections, where an app has a limit: who may come in here, and when the other nodes are asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Node, PATIENCE, Shared};
use crate::lease::{Places, Renewal};

/// After a refusal nobody is asked for so long: a crowd before a full house is no news.
const FULL: Duration = Duration::from_millis(100);

/// Connections that this node may have.
#[derive(Default)]
pub(super) struct Room {
    /// Until the others are asked again, and without asking them; `None` before the first answer.
    shares: Option<(u64, u64)>,
    full_until: Duration,
}

impl Room {
    /// The answer to a renewal at `now`.
    pub(super) fn on_renewed(&mut self, renewal: &Renewal, places: Places, now: Duration) {
        let Some(limit) = renewal.limit else { return };
        let connections = renewal.connections;
        self.shares = Some((places.share(connections, limit), places.share_alone(connections)));
        if places.given < renewal.wanted {
            self.full_until = now + FULL;
        }
    }
}

/// A client that waits, for as long as this lives.
struct AtTheDoor<'a>(&'a AtomicU64);

impl<'a> AtTheDoor<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for AtTheDoor<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Node {
    /// Takes a place with `take`, which is told how many connections this node may have. Asks the other nodes when there is
    /// none; that takes [`PATIENCE`] at most, and no time while there is no link. False when all nodes together are full.
    pub async fn place(&self, take: impl Fn(u64) -> bool) -> bool {
        let shared = &self.shared;
        if take(shared.room(shared.is_linked())) {
            return true;
        }
        // Until it has its place, so that no answer to somebody else takes it away again.
        let _waits = AtTheDoor::new(&shared.life.at_the_door);
        let deadline = Instant::now() + PATIENCE;
        while !take(shared.room(shared.is_linked())) {
            if !shared.is_linked() || shared.now() < shared.life.room.lock().full_until {
                return false;
            }
            // Somebody else may be quicker, and then there is another question.
            if !matches!(timeout_at(deadline, shared.life.ask()).await, Ok(Ok(()))) {
                return take(shared.room(false));
            }
        }
        true
    }
}

impl Shared {
    /// How many connections this node may have. Before the first answer that is none without a question, and as many as all
    /// nodes together where nobody can be asked.
    fn room(&self, can_ask: bool) -> u64 {
        let limit = self.listener.most_connections().unwrap_or(u64::MAX);
        match self.life.room.lock().shares {
            Some((share, _)) if can_ask => share,
            Some((_, alone)) => alone,
            None if can_ask => 0,
            None => limit,
        }
    }
}
