//! The last event of each cache channel, for those who subscribe later.
//!
//! A channel's slot is locked while an event is kept and handed to the channel, and while somebody joins. So a subscriber
//! gets each event once: from here, or live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::webhook::decide::Fact;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::channel::{Delivery, To};
use crate::channels::Channels;
use crate::webhooks::Facts;

/// One channel's slot.
pub(crate) type Slot = Arc<Mutex<Option<Cached>>>;

/// Last events by channel.
pub(crate) struct Cache {
    slots: DashMap<ChannelName, Slot>,
    /// How long an event is kept.
    ttl: Duration,
    /// Where it reports that nobody misses an event any more.
    facts: Option<Arc<Facts>>,
}

/// A kept event.
pub(crate) struct Cached {
    /// The frame as it was sent.
    pub(crate) frame: Bytes,
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
    /// Empty.
    pub(crate) fn new(ttl: Duration, facts: Option<Arc<Facts>>) -> Self {
        Self { slots: DashMap::new(), ttl, facts }
    }

    /// How long an event is kept.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

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
        Some((frame::data_of(&event.frame), event.remaining()?))
    }

    /// Keeps an event that was published before anybody here subscribed.
    pub(crate) fn keep(&self, name: &ChannelName, frame: Bytes, time: Duration) {
        *self.slot(name).lock() = Some(Cached { frame, expires: Instant::now() + time });
    }

    /// Keeps an event for later subscribers, whether or not anybody is there now, and hands it to those who are.
    pub(crate) fn keep_and_push(
        &self,
        channels: &Channels,
        name: &ChannelName,
        frame: Bytes,
        to: To,
    ) -> Option<Delivery> {
        let slot = self.slot(name);
        let mut cached = slot.lock();
        // Nobody misses what is there.
        let may_be_missed = cached.as_ref().is_none_or(|event| event.remaining().is_none());
        *cached = Some(Cached { frame: frame.clone(), expires: Instant::now() + self.ttl });
        if let Some(facts) = self.facts.as_ref().filter(|_| may_be_missed) {
            facts.push(Fact::Cached(name.clone()));
        }
        let pushed = channels.get(name).map(|channel| {
            let delivery = channel.push(frame, to);
            (channel, delivery)
        });
        drop(cached);
        pushed.map(|(channel, delivery)| {
            channel.flush();
            delivery
        })
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
        Cached { frame: frame::event("e", "cache-a", "1"), expires: Instant::now() + keep }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_forgotten_when_its_time_is_over() {
        let (cache, name) =
            (Cache::new(Duration::from_secs(60), None), ChannelName::parse("cache-a", 200).unwrap());
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
