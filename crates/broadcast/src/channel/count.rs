//! Telling subscribers how many they are: at once in small channels, at most every five seconds in large ones.

use std::sync::Arc;
use std::time::Duration;

use gema_protocol::frame;

use super::Channel;

/// Above this many subscribers, changes are summed up.
pub(super) const SMALL: usize = 100;
/// How long they are summed up.
const PAUSE: Duration = Duration::from_secs(5);

impl Channel {
    /// Tells every subscriber the count, now or with the changes of the next seconds.
    pub(crate) fn announce_count(self: &Arc<Self>) {
        let mut door = self.door.lock();
        let count = door.members.len();
        if count > SMALL {
            if !std::mem::replace(&mut door.count_due, true) {
                tokio::spawn(self.clone().announce_later());
            }
            return;
        }
        // Nobody waits for this frame.
        let _ = self.push(frame::subscription_count(&self.name, count), None);
        drop(door);
        self.flush();
    }

    async fn announce_later(self: Arc<Self>) {
        tokio::time::sleep(PAUSE).await;
        let mut door = self.door.lock();
        door.count_due = false;
        let _ = self.push(frame::subscription_count(&self.name, door.members.len()), None);
        drop(door);
        self.flush();
    }
}
