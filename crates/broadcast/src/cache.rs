//! The last event of each cache channel, for those who subscribe later.
//!
//! A channel's slot is locked while an event is kept and handed to the channel, and while somebody joins. So a subscriber
//! gets each event once: from here, or live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use gema_protocol::channel::ChannelName;
use parking_lot::Mutex;
use tokio::time::Instant;

/// One channel's slot.
pub(crate) type Slot = Arc<Mutex<Option<Cached>>>;

/// Last events by channel.
#[derive(Default)]
pub(crate) struct Cache {
    slots: DashMap<ChannelName, Slot>,
}

/// A kept event.
pub(crate) struct Cached {
    /// The frame as it was sent.
    pub(crate) frame: Bytes,
    /// The event's `data`.
    pub(crate) data: String,
    /// When it is forgotten.
    pub(crate) expires: Instant,
}

impl Cached {
    /// Time it is still kept; `None` when that is over.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.expires.checked_duration_since(Instant::now()).filter(|remaining| !remaining.is_zero())
    }
}

impl Cache {
    /// The slot of a channel, empty if nothing was published.
    pub(crate) fn slot(&self, name: &ChannelName) -> Slot {
        if let Some(slot) = self.slots.get(name) {
            return slot.clone();
        }
        self.slots.entry(name.clone()).or_default().clone()
    }

    /// What a query may know of the channel's event: its data and remaining time.
    pub(crate) fn peek(&self, name: &ChannelName) -> Option<(String, Duration)> {
        let slot = self.slots.get(name)?.clone();
        let cached = slot.lock();
        let event = cached.as_ref()?;
        Some((event.data.clone(), event.remaining()?))
    }

    /// Forgets what is over. Somebody who holds a slot keeps it here: there must not be two of one channel.
    pub(crate) fn sweep(&self) {
        self.slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1
                || slot.lock().as_ref().is_some_and(|event| event.remaining().is_some())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(keep: Duration) -> Cached {
        Cached { frame: Bytes::new(), data: "1".to_owned(), expires: Instant::now() + keep }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_forgotten_when_its_time_is_over() {
        let (cache, name) = (Cache::default(), ChannelName::parse("cache-a", 200).unwrap());
        *cache.slot(&name).lock() = Some(event(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(59)).await;
        cache.sweep();
        assert_eq!(cache.peek(&name), Some(("1".to_owned(), Duration::from_secs(1))));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.peek(&name), None);
        let held = cache.slot(&name);
        cache.sweep();
        assert!(Arc::ptr_eq(&held, &cache.slot(&name)), "a slot in use stays the only one");
        drop(held);
        cache.sweep();
        assert!(cache.slots.is_empty());
    }
}
