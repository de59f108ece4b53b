//! Telling subscribers how many they are: at once in small channels, at most every five seconds in large ones.

use std::sync::Arc;

use gema_protocol::frame;
use gema_protocol::limits::{COUNT_PAUSE, COUNTED_AT_ONCE};

use super::{Channel, To};

impl Channel {
    /// Tells every subscriber the count, now or with the changes of the next seconds.
    pub(crate) fn announce_count(self: &Arc<Self>) {
        let mut door = self.door.lock();
        let count = door.count();
        if count > COUNTED_AT_ONCE {
            if !std::mem::replace(&mut door.count_due, true) {
                tokio::spawn(self.clone().announce_later());
            }
            return;
        }
        // Nobody waits for this frame.
        let _ = self.push(frame::subscription_count(&self.name, count), To::default());
        drop(door);
        self.flush();
    }

    async fn announce_later(self: Arc<Self>) {
        tokio::time::sleep(COUNT_PAUSE).await;
        let mut door = self.door.lock();
        door.count_due = false;
        let _ = self.push(frame::subscription_count(&self.name, door.count()), To::default());
        drop(door);
        self.flush();
    }
}
