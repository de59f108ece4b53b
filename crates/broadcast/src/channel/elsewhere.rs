//! What other nodes say of the channel: subscribers hear of it as if those clients were here.

use std::sync::Arc;

use gema_cluster::replica::{Change, Replica};
use gema_protocol::presence::UserId;

use super::{Channel, To};

impl Channel {
    /// A channel that begins on this node, while others may have clients in it.
    pub(crate) fn knowing(mut self, others: &Replica) -> Self {
        self.door.get_mut().know(others);
        self
    }

    /// Members of other nodes have come and gone.
    pub(crate) fn follow(self: &Arc<Self>, changes: &[Change]) {
        let mut door = self.door.lock();
        for frame in changes.iter().filter_map(|change| door.follow(&self.name, change)) {
            // Nobody waits for this frame.
            let _ = self.push(frame, To::default());
        }
        drop(door);
        self.flush();
    }

    /// How many subscribe on other nodes.
    pub(crate) fn count_elsewhere(&self, count: u64) {
        self.door.lock().elsewhere = usize::try_from(count).unwrap_or(usize::MAX);
    }

    /// Whether a presence channel with at most `most` members takes this user.
    pub(crate) fn has_room(&self, user: &UserId, most: usize) -> bool {
        self.door.lock().has_room(user, most)
    }
}
