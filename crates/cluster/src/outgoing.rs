//! What a node still has to tell the others, and what it may have to tell once more.
//!
//! Events wait per channel. While one entry of a channel is on its way to Redis, those that come meanwhile form the next
//! one: the slower Redis is, the more events share a round trip. An entry that Redis has taken is kept for a while, for a
//! Redis that comes back without its memory. All of it is bounded in time and bytes. Pure: the owner brings the clock,
//! sends what [`Outgoing::next_append`] gives it, and tells how that went.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gema_protocol::channel::ChannelName;

use crate::entry::{Entry, Event, MOST_EVENTS, Origin};
use crate::inbox::Position;

/// How long an entry is worth telling: as long as the log keeps it.
pub const KEEP: Duration = Duration::from_secs(60);
/// Bytes of text after which an entry takes no further event.
const FULL_ENTRY: usize = 1024 * 1024;
/// What an event takes beside its text.
const OVERHEAD: usize = 96;

/// An entry to append to a channel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The channel.
    pub channel: ChannelName,
    /// Where the log must stand at least, in which epoch; `None`: anywhere. Otherwise Redis has lost its memory.
    pub expected: Option<Position>,
    /// The entry.
    pub entry: Entry,
}

/// What Redis said to an [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is in the log, here.
    Appended(Position),
    /// It is not: the log stands here (nowhere if `None`), before what was expected.
    Behind(Option<Position>),
}

/// The node's buffer has no room for another event: Redis has been away for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer for other nodes is full")]
pub struct Full;

/// All that a node has to tell about one app.
#[derive(Debug)]
pub struct Outgoing {
    origin: Origin,
    limit: usize,
    bytes: usize,
    sequence: u64,
    lanes: HashMap<ChannelName, Lane>,
    /// Channels that may send, in the order in which they became able to.
    ready: VecDeque<ChannelName>,
    /// What Redis has taken, oldest first.
    taken: VecDeque<(ChannelName, Kept)>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Where the log stood after the last entry.
    known: Option<Position>,
    /// The first is on its way if `flying`.
    entries: VecDeque<Kept>,
    flying: bool,
    /// Entries of this channel in [`Outgoing::taken`].
    taken: usize,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    since: Duration,
    bytes: usize,
    /// It has been on its way: Redis may have it, so it must not change any more.
    sent: bool,
}

impl Outgoing {
    /// `limit`: bytes of everything together.
    #[must_use]
    pub fn new(origin: Origin, limit: usize) -> Self {
        let (lanes, ready, taken) = (HashMap::new(), VecDeque::new(), VecDeque::new());
        Self { origin, limit, bytes: 0, sequence: 0, lanes, ready, taken }
    }

    /// Adds an event. The number of the entry that will carry it comes back: see [`Outgoing::answered`].
    ///
    /// # Errors
    /// When there is no room, even without what Redis has taken already; the event is lost to the other nodes.
    pub fn push(
        &mut self,
        channel: &ChannelName,
        event: Event,
        now: Duration,
        published_ms: u64,
    ) -> Result<u64, Full> {
        let size = event.text.len() + OVERHEAD;
        self.make_room(size)?;
        self.bytes += size;
        let lane = self.lanes.entry(channel.clone()).or_default();
        if let Some(open) = lane.open_entry(size) {
            open.entry.events.push(event);
            open.bytes += size;
            return Ok(open.entry.sequence);
        }
        self.sequence += 1;
        let entry = Entry { origin: self.origin, sequence: self.sequence, published_ms, events: vec![event] };
        lane.entries.push_back(Kept { entry, since: now, bytes: size, sent: false });
        if !lane.flying && lane.entries.len() == 1 {
            self.ready.push_back(channel.clone());
        }
        Ok(self.sequence)
    }

    /// The next entry to send. Entries of one channel come one at a time: tell how it went before the next.
    pub fn next_append(&mut self) -> Option<Append> {
        while let Some(channel) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&channel) else { continue };
            if lane.flying {
                continue;
            }
            if let Some(first) = lane.entries.front_mut() {
                first.sent = true;
                let append = Append { expected: lane.known, entry: first.entry.clone(), channel };
                lane.flying = true;
                return Some(append);
            }
        }
        None
    }

    /// What Redis said to the entry of this channel that was on its way; its number comes back when it is in the log.
    pub fn answered(&mut self, channel: &ChannelName, answer: Answer) -> Option<u64> {
        let lane = self.lanes.get_mut(channel)?;
        lane.flying = false;
        let told = match answer {
            Answer::Appended(position) => {
                lane.known = Some(position);
                lane.entries.pop_front().map(|kept| {
                    lane.taken += 1;
                    let sequence = kept.entry.sequence;
                    self.taken.push_back((channel.clone(), kept));
                    sequence
                })
            }
            Answer::Behind(position) => {
                lane.known = position;
                self.tell_again(channel);
                None
            }
        };
        self.make_ready(channel);
        told
    }

    /// The entry of this channel that was on its way got no answer. It is sent again after [`Outgoing::next_append`] is asked.
    pub fn failed(&mut self, channel: &ChannelName) {
        if let Some(lane) = self.lanes.get_mut(channel) {
            lane.flying = false;
        }
        self.make_ready(channel);
    }

    /// Forgets what is too old to be told; how many events Redis never took comes back.
    pub fn expire(&mut self, now: Duration) -> usize {
        let old = |kept: &Kept| now.saturating_sub(kept.since) >= KEEP;
        while self.taken.front().is_some_and(|(_, kept)| old(kept)) {
            self.forget_taken();
        }
        let mut lost = 0;
        for lane in self.lanes.values_mut() {
            // What is on its way stays until its answer.
            let from = usize::from(lane.flying);
            while lane.entries.get(from).is_some_and(old) {
                if let Some(kept) = lane.entries.remove(from) {
                    self.bytes -= kept.bytes;
                    lost += kept.entry.events.len();
                }
            }
        }
        self.lanes.retain(|_, lane| lane.taken > 0 || lane.flying || !lane.entries.is_empty());
        lost
    }

    /// Is there anything of this channel that Redis has not taken yet?
    #[must_use]
    pub fn has_waiting(&self, channel: &ChannelName) -> bool {
        self.lanes.get(channel).is_some_and(|lane| !lane.entries.is_empty())
    }

    /// Events that Redis has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lanes.values().flat_map(|lane| &lane.entries).map(|kept| kept.entry.events.len()).sum()
    }

    /// Bytes that these events take.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.lanes.values().flat_map(|lane| &lane.entries).map(|kept| kept.bytes).sum()
    }

    /// Gives up what Redis has taken, oldest first, until `size` more bytes fit.
    fn make_room(&mut self, size: usize) -> Result<(), Full> {
        while self.bytes + size > self.limit {
            if self.taken.is_empty() {
                return Err(Full);
            }
            self.forget_taken();
        }
        Ok(())
    }

    fn forget_taken(&mut self) {
        let Some((channel, kept)) = self.taken.pop_front() else { return };
        self.bytes -= kept.bytes;
        if let Some(lane) = self.lanes.get_mut(&channel) {
            lane.taken -= 1;
        }
    }

    /// Puts what Redis has taken of this channel, and forgotten, back before what it has not taken.
    fn tell_again(&mut self, channel: &ChannelName) {
        let (again, others) = std::mem::take(&mut self.taken).into_iter().partition(|(of, _)| of == channel);
        self.taken = others;
        let Some(lane) = self.lanes.get_mut(channel) else { return };
        lane.taken = 0;
        let again: VecDeque<(ChannelName, Kept)> = again;
        for (_, kept) in again.into_iter().rev() {
            lane.entries.push_front(kept);
        }
    }

    fn make_ready(&mut self, channel: &ChannelName) {
        if self.lanes.get(channel).is_some_and(|lane| !lane.entries.is_empty()) {
            self.ready.push_back(channel.clone());
        }
    }
}

impl Lane {
    /// The entry that an event of this size may join: the last, unless Redis may have it already or it is full.
    fn open_entry(&mut self, size: usize) -> Option<&mut Kept> {
        let fits = |kept: &&mut Kept| {
            !kept.sent && kept.entry.events.len() < MOST_EVENTS && kept.bytes + size <= FULL_ENTRY
        };
        self.entries.back_mut().filter(fits)
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
