//! What one flush of a channel sends: every event that was pending when it began.
//!
//! Subscribers share one buffer with all events. The few who must not see some of them, because they published them
//! themselves (`socket_id` of the HTTP API, client events), get a buffer made for them.

use bytes::{Bytes, BytesMut};
use gema_protocol::SocketId;
use tokio::sync::oneshot;

use super::members::Chunk;

/// Pending events of a channel and the publishers that wait for them.
#[derive(Default)]
pub(super) struct Round {
    events: Vec<(Bytes, Option<SocketId>)>,
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

    pub(super) fn push(&mut self, frame: Bytes, except: Option<SocketId>) {
        self.bytes += frame.len();
        self.events.push((frame, except));
    }

    /// As [`Round::push`]; the receiver fires at [`Round::finish`].
    pub(super) fn push_and_wait(&mut self, frame: Bytes, except: Option<SocketId>) -> oneshot::Receiver<()> {
        self.push(frame, except);
        let (done, served) = oneshot::channel();
        self.waiting.push(done);
        served
    }

    /// The buffers to send.
    pub(super) fn frames(&self) -> Frames<'_> {
        let mut excepted: Vec<SocketId> = self.events.iter().filter_map(|(_, except)| *except).collect();
        excepted.sort_unstable();
        excepted.dedup();
        Frames { all: concat(&self.events, |_| true), events: &self.events, excepted }
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
    events: &'a [(Bytes, Option<SocketId>)],
    /// Sorted socket ids that do not get `all`; empty for most rounds.
    excepted: Vec<SocketId>,
}

impl Frames<'_> {
    /// Gives each subscriber of the chunk its one write.
    pub(super) fn send_to(&self, chunk: &Chunk) {
        for subscription in chunk.iter() {
            let id = subscription.outbound.id();
            if self.excepted.is_empty() || self.excepted.binary_search(&id).is_err() {
                subscription.outbound.send_while(&subscription.live, &self.all);
                continue;
            }
            let rest = concat(self.events, |except| except != Some(id));
            if !rest.is_empty() {
                subscription.outbound.send_while(&subscription.live, &rest);
            }
        }
    }
}

/// The frames of the chosen events in one buffer; a single one is shared as it is.
fn concat(events: &[(Bytes, Option<SocketId>)], choose: impl Fn(Option<SocketId>) -> bool) -> Bytes {
    let mut chosen = events.iter().filter(|(_, except)| choose(*except)).map(|(frame, _)| frame);
    let Some(first) = chosen.next() else { return Bytes::new() };
    let Some(second) = chosen.next() else { return first.clone() };
    let mut buffer = BytesMut::from(&first[..]);
    buffer.extend_from_slice(second);
    chosen.for_each(|frame| buffer.extend_from_slice(frame));
    buffer.freeze()
}
