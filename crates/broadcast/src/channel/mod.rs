//! One channel: its subscribers and the events on their way to them.
//!
//! Publishing appends encoded frames to what is pending. If no flush of this channel runs, the publisher starts one:
//! for few subscribers in place, for many in a task that lets other work run between chunks. A flush takes everything
//! that is pending and gives each subscriber one write. So the busier a channel is, the more events share a write, and
//! a publisher that waits for its flush is slowed down to what the subscribers take.
//!
//! `members` owns the subscriber list, `round` what one flush sends. Channels are found through
//! [`crate::channels::Channels`].

mod members;
mod round;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use gema_protocol::channel::ChannelName;
use gema_protocol::socket_id::SocketId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use members::{CHUNK, Chunk, Members};
pub(crate) use members::{Slot, Subscription};
use round::Round;

use crate::outbound::Outbound;

/// A channel with at least one subscriber.
pub(crate) struct Channel {
    name: ChannelName,
    members: Mutex<Door>,
    pending: Mutex<Pending>,
}

/// The subscribers, and whether new ones may still come in.
#[derive(Default)]
struct Door {
    members: Members,
    /// The last subscriber has left and the channel is being taken out of the registry: a joiner starts a new one.
    closed: bool,
}

#[derive(Default)]
struct Pending {
    round: Round,
    flushing: bool,
    /// Number of the newest event.
    newest: u64,
}

impl Pending {
    fn push(&mut self, frame: Bytes, except: Option<SocketId>) {
        self.newest += 1;
        self.round.push(self.newest, frame, except);
    }
}

/// The channel closed between being found and being joined.
pub(crate) struct Closed;

/// A published event's delivery: wait for it to slow the publisher down to the pace of the fan-out.
#[must_use = "a publisher that does not wait is not slowed down"]
pub(crate) struct Delivery(Option<oneshot::Receiver<()>>);

impl Delivery {
    /// Nothing to wait for: every subscriber has been served.
    pub(crate) fn done() -> Self {
        Self(None)
    }

    /// The receiver that fires when every subscriber was served, if one still has to be.
    pub(crate) fn into_receiver(self) -> Option<oneshot::Receiver<()>> {
        self.0
    }

    /// Ends when every subscriber was served.
    pub(crate) async fn wait(self) {
        if let Some(served) = self.0 {
            // A dropped sender means that the runtime ends; there is nobody left to slow down.
            let _ = served.await;
        }
    }
}

impl Channel {
    /// An empty channel.
    pub(crate) fn new(name: ChannelName) -> Self {
        Self { name, members: Mutex::default(), pending: Mutex::default() }
    }

    /// The channel's name.
    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    /// How many connections subscribe.
    pub(crate) fn subscription_count(&self) -> usize {
        self.members.lock().members.len()
    }

    /// Bytes of events that wait for the flush under way.
    pub(crate) fn backlog(&self) -> usize {
        self.pending.lock().round.bytes()
    }

    /// Lets a connection in. `greeting` is sent under the same lock: no event of the channel overtakes it, and none
    /// published after the client has read it is missed.
    pub(crate) fn join(&self, outbound: &Arc<Outbound>, greeting: &Bytes) -> Result<Joined, Closed> {
        let mut door = self.members.lock();
        if door.closed {
            return Err(Closed);
        }
        // Read before the greeting leaves: what is published once the client has read that is newer.
        let since = self.pending.lock().newest;
        outbound.send(greeting);
        let subscription =
            Arc::new(Subscription { outbound: outbound.clone(), live: AtomicBool::new(true), since });
        let slot = door.members.join(subscription.clone());
        Ok(Joined { subscription, slot })
    }

    /// Takes a connection out; nothing of this channel is sent to it afterwards, also by a fan-out under way. True when
    /// it was the last: the caller then removes the channel from the registry.
    pub(crate) fn leave(&self, joined: &Joined) -> bool {
        joined.subscription.outbound.revoke(&joined.subscription.live);
        let mut door = self.members.lock();
        door.members.leave(joined.slot, &joined.subscription);
        door.closed = door.members.len() == 0;
        door.closed
    }

    /// Sends complete frames to every subscriber but `except`.
    pub(crate) fn publish(self: &Arc<Self>, frame: Bytes, except: Option<SocketId>) -> Delivery {
        let many = self.subscription_count() > CHUNK;
        let mut pending = self.pending.lock();
        pending.push(frame, except);
        if pending.flushing {
            return Delivery(Some(pending.round.wait()));
        }
        pending.flushing = true;
        let served = many.then(|| pending.round.wait());
        drop(pending);
        if many {
            tokio::spawn(self.clone().flush_in_turns());
        } else {
            self.flush_in_place();
        }
        Delivery(served)
    }

    /// Flushes a small channel without a pause, which no cancelled request can interrupt half way.
    fn flush_in_place(self: &Arc<Self>) {
        let Some(round) = self.next_round() else { return };
        let frames = round.frames();
        for chunk in self.snapshot() {
            frames.send_to(&chunk);
        }
        round.finish();
        // What came in meanwhile is somebody else's to wait for, not this publisher's to send.
        if self.has_pending() {
            tokio::spawn(self.clone().flush_in_turns());
        }
    }

    async fn flush_in_turns(self: Arc<Self>) {
        while let Some(round) = self.next_round() {
            let frames = round.frames();
            for chunk in self.snapshot() {
                frames.send_to(&chunk);
                tokio::task::yield_now().await;
            }
            round.finish();
        }
    }

    fn snapshot(&self) -> Vec<Chunk> {
        self.members.lock().members.snapshot()
    }

    /// Everything that waits, or `None` and the end of this flush.
    fn next_round(&self) -> Option<Round> {
        let mut pending = self.pending.lock();
        if pending.round.is_empty() {
            pending.flushing = false;
            return None;
        }
        Some(std::mem::take(&mut pending.round))
    }

    /// Whether the flush must go on; if not, it has ended.
    fn has_pending(&self) -> bool {
        let mut pending = self.pending.lock();
        pending.flushing = !pending.round.is_empty();
        pending.flushing
    }
}

/// A connection's membership of a channel, kept by the connection.
pub(crate) struct Joined {
    subscription: Arc<Subscription>,
    slot: Slot,
}
