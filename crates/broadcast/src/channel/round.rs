//! What one flush of a channel sends: every event that was pending when it began.
//!
//! Subscribers share one buffer with all events. The few who must not see some of them, because they published them
//! themselves (`socket_id` of the HTTP API, client events) or joined while they were pending, get a buffer of their own.

use bytes::{Bytes, BytesMut};
use gema_protocol::socket_id::SocketId;
use tokio::sync::oneshot;

use super::members::{Chunk, Subscription};
use crate::metrics::Traffic;

/// One pending event.
struct Event {
    frame: Bytes,
    except: Option<SocketId>,
    /// Counts the channel's events from 1.
    number: u64,
    /// When it was published, if it comes late from another node: only for those who had joined by then.
    late: Option<u64>,
}

impl Event {
    fn is_for(&self, subscription: &Subscription) -> bool {
        self.number > subscription.since
            && self.except != Some(subscription.outbound.id())
            && self.late.is_none_or(|published_ms| subscription.joined_ms <= published_ms)
    }
}

/// Which subscribers an event is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct To {
    /// All but this one.
    pub(crate) except: Option<SocketId>,
    /// Only those who had joined by this time of the cluster's clock.
    pub(crate) late: Option<u64>,
}

impl To {
    /// Every subscriber but one.
    pub(crate) fn all_but(except: Option<SocketId>) -> Self {
        Self { except, late: None }
    }
}

/// Pending events of a channel and the publishers that wait for them.
#[derive(Default)]
pub(super) struct Round {
    events: Vec<Event>,
    waiting: Vec<oneshot::Sender<()>>,
    bytes: usize,
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, number: u64, frame: Bytes, to: To) {
        self.bytes += frame.len();
        self.events.push(Event { frame, except: to.except, number, late: to.late });
    }

    /// The receiver fires at [`Round::finish`].
    pub(super) fn wait(&mut self) -> oneshot::Receiver<()> {
        let (done, served) = oneshot::channel();
        self.waiting.push(done);
        served
    }

    /// The buffers to send.
    pub(super) fn frames(&self) -> Frames<'_> {
        let mut excepted: Vec<SocketId> = self.events.iter().filter_map(|event| event.except).collect();
        excepted.sort_unstable();
        excepted.dedup();
        let first = self.events.first().map_or(u64::MAX, |event| event.number);
        let late = self.events.iter().filter_map(|event| event.late).min();
        Frames { all: concat(&self.events, |_| true), events: &self.events, excepted, first, late }
    }

    /// Answers every publisher that waits.
    pub(super) fn finish(self) {
        for publisher in self.waiting {
            // A publisher that has hung up needs no answer.
            let _ = publisher.send(());
        }
    }
}

/// A round, encoded for sending.
pub(super) struct Frames<'a> {
    all: Bytes,
    events: &'a [Event],
    /// Sorted socket ids that do not get `all`; empty for most rounds.
    excepted: Vec<SocketId>,
    /// Number of the oldest event: whoever joined after it does not get `all`.
    first: u64,
    /// Time of the oldest late event: whoever joined after it does not get `all`.
    late: Option<u64>,
}

impl Frames<'_> {
    /// Gives each subscriber of the chunk its one write. Those who get all are counted by the chunk, not one by one.
    pub(super) fn send_to(&self, chunk: &Chunk, sent: &mut Sent) {
        let mut others = 0;
        for subscription in chunk.iter() {
            if self.suits(subscription) {
                subscription.outbound.send_while(&subscription.live, &self.all);
                continue;
            }
            others += 1;
            let rest = concat(self.events, |event| event.is_for(subscription));
            if !rest.is_empty() {
                subscription.outbound.send_while(&subscription.live, &rest);
            }
            let events = self.events.iter().filter(|event| event.is_for(subscription)).count();
            sent.add(1, events, rest.len());
        }
        sent.add(chunk.len() - others, self.events.len(), self.all.len());
    }

    /// Whether every event of the round is for this subscriber.
    fn suits(&self, subscription: &Subscription) -> bool {
        subscription.since < self.first
            && self.late.is_none_or(|published_ms| subscription.joined_ms <= published_ms)
            && (self.excepted.is_empty() || self.excepted.binary_search(&subscription.outbound.id()).is_err())
    }
}

/// What one flush has handed to subscribers.
#[derive(Debug, Default)]
pub(super) struct Sent {
    events: usize,
    bytes: usize,
}

impl Sent {
    fn add(&mut self, subscribers: usize, events: usize, bytes: usize) {
        self.events += subscribers * events;
        self.bytes += subscribers * bytes;
    }

    /// Adds it to the app's traffic.
    pub(super) fn count(&self, traffic: &Traffic) {
        traffic.delivered.add(self.events);
        traffic.delivered_bytes.add(self.bytes);
    }
}

/// The frames of the chosen events in one buffer; a single one is shared as it is.
fn concat(events: &[Event], choose: impl Fn(&Event) -> bool) -> Bytes {
    let mut chosen = events.iter().filter(|event| choose(event)).map(|event| &event.frame);
    let Some(first) = chosen.next() else { return Bytes::new() };
    let Some(second) = chosen.next() else { return first.clone() };
    let mut buffer = BytesMut::from(&first[..]);
    buffer.extend_from_slice(second);
    chosen.for_each(|frame| buffer.extend_from_slice(frame));
    buffer.freeze()
}
