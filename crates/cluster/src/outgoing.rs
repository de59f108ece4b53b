//! What a node still has to tell the others, and what it may have to tell once more.
//!
//! Events wait per channel. While one entry of a channel is on its way to Redis, those that come meanwhile form the next
//! one: the slower Redis is, the more events share a round trip. An entry that Redis has taken is kept for a while, for a
//! Redis that comes back without its memory: after each new link every channel with such entries is looked at once. All
//! of it is bounded in time and bytes. Pure: the owner brings the clock, sends what [`Outgoing::next_append`] gives it, and
//! tells how that went.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gema_protocol::channel::ChannelName;

use crate::entry::{Entry, Event, MOST_EVENTS, Origin, Published};
use crate::inbox::Position;

/// How long an entry is worth telling, and how long the log keeps it: a cut of a minute, and the time to notice its end.
pub const KEEP: Duration = Duration::from_secs(75);
/// How long an entry takes further events: they are all given up when the first is too old.
const OPEN: Duration = Duration::from_secs(1);
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
    /// The entry. Without an event it is only a look whether the log still stands where it is expected.
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
    /// The channel of each entry that Redis has taken, in that order.
    taken: VecDeque<ChannelName>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Where the log stood after the last entry.
    known: Option<Position>,
    /// What Redis has not taken; the first is on its way if `flying` says so.
    entries: VecDeque<Kept>,
    flying: Option<Flight>,
    /// The log is to be looked at, if no entry does that anyway.
    look: bool,
    /// What Redis has taken, oldest first.
    taken: VecDeque<Kept>,
    /// Places in [`Outgoing::taken`] whose entries have been taken back since; they come before the others of the channel.
    void: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flight {
    Entry,
    Look,
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
        at_ms: u64,
    ) -> Result<u64, Full> {
        let size = event.text.len() + OVERHEAD;
        self.make_room(size)?;
        self.bytes += size;
        let published = Published { at_ms, event };
        let lane = self.lanes.entry(channel.clone()).or_default();
        if let Some(open) = lane.open_entry(size, now) {
            open.entry.events.push(published);
            open.bytes += size;
            return Ok(open.entry.sequence);
        }
        self.sequence += 1;
        let entry = Entry { origin: self.origin, sequence: self.sequence, events: vec![published] };
        lane.entries.push_back(Kept { entry, since: now, bytes: size, sent: false });
        if lane.flying.is_none() && lane.entries.len() == 1 {
            self.ready.push_back(channel.clone());
        }
        Ok(self.sequence)
    }

    /// There is a new link, perhaps to a Redis that has lost what it had taken.
    pub fn relinked(&mut self) {
        for (channel, lane) in &mut self.lanes {
            if !lane.taken.is_empty() {
                lane.look = true;
                self.ready.push_back(channel.clone());
            }
        }
    }

    /// The next entry to send. Entries of one channel come one at a time: tell how it went before the next.
    pub fn next_append(&mut self) -> Option<Append> {
        while let Some(channel) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&channel) else { continue };
            if let Some((entry, expected)) = lane.depart(self.origin) {
                return Some(Append { channel, expected, entry });
            }
        }
        None
    }

    /// What Redis said to the entry of this channel that was on its way; its number comes back when it is in the log.
    pub fn answered(&mut self, channel: &ChannelName, answer: Answer) -> Option<u64> {
        let lane = self.lanes.get_mut(channel)?;
        let flight = lane.flying.take();
        lane.look = false;
        let told = match answer {
            Answer::Appended(position) => {
                lane.known = Some(position);
                let kept = if flight == Some(Flight::Entry) { lane.entries.pop_front() } else { None };
                kept.map(|kept| {
                    let sequence = kept.entry.sequence;
                    lane.taken.push_back(kept);
                    self.taken.push_back(channel.clone());
                    sequence
                })
            }
            Answer::Behind(position) => {
                lane.known = position;
                lane.tell_again();
                None
            }
        };
        self.make_ready(channel);
        told
    }

    /// The entry of this channel that was on its way got no answer. It is sent again after [`Outgoing::next_append`] is asked.
    pub fn failed(&mut self, channel: &ChannelName) {
        if let Some(lane) = self.lanes.get_mut(channel) {
            lane.flying = None;
        }
        self.make_ready(channel);
    }

    /// Forgets what is too old to be told; how many events Redis never took comes back.
    pub fn expire(&mut self, now: Duration) -> usize {
        let old = |kept: &Kept| now.saturating_sub(kept.since) >= KEEP;
        while self.oldest_taken().is_some_and(old) {
            self.forget_taken();
        }
        let mut lost = 0;
        for lane in self.lanes.values_mut() {
            // What is on its way stays until its answer.
            let from = usize::from(lane.flying == Some(Flight::Entry));
            while lane.entries.get(from).is_some_and(old) {
                if let Some(kept) = lane.entries.remove(from) {
                    self.bytes -= kept.bytes;
                    lost += kept.entry.events.len();
                }
            }
        }
        self.lanes.retain(|_, lane| !lane.is_over());
        lost
    }

    /// Is there anything of this channel that Redis has not taken yet?
    #[must_use]
    pub fn has_waiting(&self, channel: &ChannelName) -> bool {
        self.lanes.get(channel).is_some_and(|lane| !lane.entries.is_empty())
    }

    /// Has this node published to this channel after that entry?
    #[must_use]
    pub fn has_newer(&self, channel: &ChannelName, sequence: u64) -> bool {
        let newest = self.lanes.get(channel).and_then(|lane| lane.entries.back().or(lane.taken.back()));
        newest.is_some_and(|kept| kept.entry.sequence > sequence)
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
            if self.oldest_taken().is_none() {
                return Err(Full);
            }
            self.forget_taken();
        }
        Ok(())
    }

    fn oldest_taken(&mut self) -> Option<&Kept> {
        while let Some(lane) = self.lanes.get_mut(self.taken.front()?).filter(|lane| lane.void > 0) {
            lane.void -= 1;
            self.taken.pop_front();
        }
        self.lanes.get(self.taken.front()?)?.taken.front()
    }

    /// Forgets what [`Outgoing::oldest_taken`] has found.
    fn forget_taken(&mut self) {
        let Some(lane) = self.taken.pop_front().and_then(|channel| self.lanes.get_mut(&channel)) else {
            return;
        };
        self.bytes -= lane.taken.pop_front().map_or(0, |kept| kept.bytes);
    }

    fn make_ready(&mut self, channel: &ChannelName) {
        if self.lanes.get(channel).is_some_and(|lane| lane.look || !lane.entries.is_empty()) {
            self.ready.push_back(channel.clone());
        }
    }
}

impl Lane {
    /// What leaves now, and where the log is expected to stand.
    fn depart(&mut self, origin: Origin) -> Option<(Entry, Option<Position>)> {
        if self.flying.is_some() {
            return None;
        }
        if let Some(first) = self.entries.front_mut() {
            first.sent = true;
            self.flying = Some(Flight::Entry);
            return Some((first.entry.clone(), self.known));
        }
        if !self.look {
            return None;
        }
        self.flying = Some(Flight::Look);
        Some((Entry { origin, sequence: 0, events: Vec::new() }, self.known))
    }

    /// The entry that an event of this size may join: the last, unless Redis may have it already or it is full.
    fn open_entry(&mut self, size: usize, now: Duration) -> Option<&mut Kept> {
        let fits = |kept: &&mut Kept| {
            !kept.sent
                && kept.entry.events.len() < MOST_EVENTS
                && kept.bytes + size <= FULL_ENTRY
                && now.saturating_sub(kept.since) < OPEN
        };
        self.entries.back_mut().filter(fits)
    }

    /// Puts what Redis has taken, and forgotten, back before what it has not taken.
    fn tell_again(&mut self) {
        self.void += self.taken.len();
        self.taken.append(&mut self.entries);
        std::mem::swap(&mut self.taken, &mut self.entries);
    }

    /// Nothing is left of it, nor of its places.
    fn is_over(&self) -> bool {
        self.flying.is_none() && self.entries.is_empty() && self.taken.is_empty() && self.void == 0
    }
}

#[cfg(test)]
mod tests;
