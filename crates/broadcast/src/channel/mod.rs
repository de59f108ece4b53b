//! One channel: its subscribers and the events on their way to them.
//!
//! Publishing appends encoded frames to what is pending. If no flush of this channel runs, the publisher starts one:
//! for few subscribers in place, for many in a task that lets other work run between chunks. A flush takes everything
//! that is pending and gives each subscriber one write. So the busier a channel is, the more events share a write, and
//! a publisher that waits for its flush is slowed down to what the subscribers take.
//!
//! [`door`] owns who is in, `elsewhere` brings it what other nodes say, `members` the list that a fan-out walks, `round`
//! what one flush sends. Channels are found through [`crate::channels::Channels`]. What webhooks hear of it is in `report`.

mod count;
mod door;
mod elsewhere;
mod members;
mod report;
mod round;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use gema_protocol::channel::ChannelName;
use gema_protocol::presence::{Member, UserId};
use gema_protocol::webhook::concerns;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use door::Door;
pub(crate) use door::Refused;
use members::{CHUNK, Chunk, Slot, Subscription};
pub(crate) use round::To;
use round::{Round, Sent};

use crate::metrics::Traffic;
use crate::outbound::Outbound;
use crate::webhooks::Facts;

/// A channel with at least one subscriber.
pub(crate) struct Channel {
    name: ChannelName,
    door: Mutex<Door>,
    pending: Mutex<Pending>,
    /// Where it reports to, if there are webhooks about it.
    facts: Option<Arc<Facts>>,
    traffic: Arc<Traffic>,
}

#[derive(Default)]
struct Pending {
    round: Round,
    flushing: bool,
    /// Number of the newest event.
    newest: u64,
}

impl Pending {
    fn push(&mut self, frame: Bytes, to: To) {
        self.newest += 1;
        self.round.push(self.newest, frame, to);
    }
}

/// A connection's membership of a channel, kept by the connection.
pub(crate) struct Joined {
    subscription: Arc<Subscription>,
    slot: Slot,
    user: Option<UserId>,
}

impl Joined {
    /// The member this connection is in a presence channel.
    pub(crate) fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }
}

/// What a joining connection brings and is to be sent.
pub(crate) struct Joiner<'a> {
    /// Where its events go.
    pub(crate) outbound: &'a Arc<Outbound>,
    /// Who it is, in a presence channel.
    pub(crate) member: Option<&'a Member>,
    /// Most members the channel may have.
    pub(crate) most_members: Option<usize>,
    /// Sent after the confirmation and before the first live event: the cached event.
    pub(crate) then: Option<&'a Bytes>,
    /// The time of the cluster's clock, in milliseconds since 1970; 0 on a node that is alone.
    pub(crate) now_ms: u64,
}

/// A published event's delivery: wait for it to slow the publisher down to the pace of the fan-out.
#[must_use = "a publisher that does not wait is not slowed down"]
pub(crate) struct Delivery(Option<oneshot::Receiver<()>>);

impl Delivery {
    /// Nothing to wait for: every subscriber has been served.
    pub(crate) fn done() -> Self {
        Self(None)
    }

    /// Something else that is to be waited for.
    pub(crate) fn after(done: oneshot::Receiver<()>) -> Self {
        Self(Some(done))
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
    pub(crate) fn new(name: ChannelName, facts: Option<Arc<Facts>>, traffic: Arc<Traffic>) -> Self {
        let facts = facts.filter(|_| concerns(&name));
        Self { name, door: Mutex::default(), pending: Mutex::default(), facts, traffic }
    }

    /// The channel's name.
    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    /// How many connections subscribe, on all nodes.
    pub(crate) fn subscription_count(&self) -> usize {
        self.door.lock().count()
    }

    /// How many distinct users a presence channel has, on all nodes.
    pub(crate) fn user_count(&self) -> usize {
        self.door.lock().roster.len()
    }

    /// The distinct users of a presence channel, as text.
    pub(crate) fn user_ids(&self) -> Vec<String> {
        self.door.lock().roster.user_ids().map(str::to_owned).collect()
    }

    /// Bytes of events that wait for the flush under way.
    pub(crate) fn backlog(&self) -> usize {
        self.pending.lock().round.bytes()
    }

    /// Lets a connection in. It is sent the confirmation under the same lock: no event of the channel overtakes that,
    /// and none published after the client has read it is missed. The others are told of a user's first connection.
    pub(crate) fn join(self: &Arc<Self>, joiner: &Joiner<'_>) -> Result<Joined, Refused> {
        let mut door = self.door.lock();
        door.admit(joiner)?;
        let added = joiner.member.and_then(|member| door.enter(&self.name, member));
        if let Some(added) = added {
            self.pending.lock().push(added, To::default());
        }
        // Read before the confirmation leaves: what is published once the client has read that is newer.
        let since = self.pending.lock().newest;
        door.greet(&self.name, joiner);
        let live = AtomicBool::new(true);
        let subscription = Arc::new(Subscription {
            outbound: joiner.outbound.clone(),
            live,
            since,
            joined_ms: joiner.now_ms,
        });
        let slot = door.members.join(subscription.clone());
        self.report_join(&door, joiner.member.map(|member| &member.user_id));
        drop(door);
        self.flush();
        Ok(Joined { subscription, slot, user: joiner.member.map(|member| member.user_id.clone()) })
    }

    /// Confirms a subscription once more: a client may repeat itself.
    pub(crate) fn greet_again(&self, joiner: &Joiner<'_>) {
        self.door.lock().greet(&self.name, joiner);
    }

    /// Takes a connection out; nothing of this channel is sent to it afterwards, also by a fan-out under way. True when
    /// it was the last: the caller then removes the channel from the registry.
    pub(crate) fn leave(self: &Arc<Self>, joined: &Joined) -> bool {
        joined.subscription.outbound.revoke(&joined.subscription.live);
        let mut door = self.door.lock();
        door.members.leave(joined.slot, &joined.subscription);
        let removed = joined.user().and_then(|user| door.exit(&self.name, user));
        if let Some(removed) = removed {
            self.pending.lock().push(removed, To::default());
        }
        self.report_leave(&door, joined.user());
        let last = door.close_if_empty();
        drop(door);
        self.flush();
        last
    }

    /// Lets nobody in any more when nobody is in; true when that is so, and the caller removes it from the registry.
    pub(crate) fn close_if_empty(&self) -> bool {
        self.door.lock().close_if_empty()
    }

    /// Sends complete frames to subscribers.
    pub(crate) fn publish(self: &Arc<Self>, frame: Bytes, to: To) -> Delivery {
        let delivery = self.push(frame, to);
        self.flush();
        delivery
    }

    /// Appends to what is pending. The caller calls [`Channel::flush`] when it holds no lock any more.
    pub(crate) fn push(&self, frame: Bytes, to: To) -> Delivery {
        let mut pending = self.pending.lock();
        pending.push(frame, to);
        Delivery(Some(pending.round.wait()))
    }

    /// Sends what is pending, unless a flush is under way that will.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut pending = self.pending.lock();
        if pending.flushing || pending.round.is_empty() {
            return;
        }
        pending.flushing = true;
        drop(pending);
        if self.door.lock().members.len() > CHUNK {
            tokio::spawn(self.clone().flush_in_turns());
        } else {
            self.flush_in_place();
        }
    }

    /// Flushes a small channel without a pause, which no cancelled request can interrupt half way.
    fn flush_in_place(self: &Arc<Self>) {
        let Some(round) = self.next_round() else { return };
        let frames = round.frames();
        let mut sent = Sent::default();
        for chunk in self.snapshot() {
            frames.send_to(&chunk, &mut sent);
        }
        sent.count(&self.traffic);
        round.finish();
        // What came in meanwhile is somebody else's to wait for, not this publisher's to send.
        if self.has_pending() {
            tokio::spawn(self.clone().flush_in_turns());
        }
    }

    async fn flush_in_turns(self: Arc<Self>) {
        while let Some(round) = self.next_round() {
            let frames = round.frames();
            let mut sent = Sent::default();
            for chunk in self.snapshot() {
                frames.send_to(&chunk, &mut sent);
                tokio::task::yield_now().await;
            }
            sent.count(&self.traffic);
            round.finish();
        }
    }

    fn snapshot(&self) -> Vec<Chunk> {
        self.door.lock().members.snapshot()
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
