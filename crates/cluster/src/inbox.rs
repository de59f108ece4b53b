//! What a node has heard of one channel: every entry once, in the order of the log, gaps filled from it.
//!
//! A topic may lose messages (a cut link) and the log may be newer than what the topic brings. So events are numbered,
//! and whoever sees a hole, or has just subscribed, holds what comes live, reads the log once, and goes on. An entry bears
//! the number of its last event: a hole is as wide as the number of events in it. Pure: the owner reads the log when told
//! so and brings what it found.

use std::collections::{BTreeMap, HashMap};

use crate::entry::{Entry, Origin};

/// Most entries held while the log is read; what comes after them is found in the log again.
const MOST_HELD: usize = 1_024;
/// Origins remembered per channel. A cluster has fewer nodes; those that died long ago make room.
const MOST_ORIGINS: usize = 256;

/// Where an entry stands in a channel's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Random for each life of the log: Redis may lose it and begin anew.
    pub epoch: u64,
    /// Counts the events of that life from 1; of an entry its last one.
    pub number: u64,
}

/// What was read of a log, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The newest entry that the log ever had, if it ever had one.
    pub newest: Option<Position>,
    /// Those it still has after the position asked for.
    pub entries: Vec<(u64, Entry)>,
}

/// What the owner does now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Entries to deliver, in order, own ones included.
    pub deliver: Vec<Heard>,
    /// Read the log after this position (all of it if `None` inside) and call [`Inbox::on_page`].
    pub read: Option<Option<Position>>,
    /// Events that nobody can bring back any more: to be counted and logged.
    pub lost: u64,
}

/// One entry to deliver.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The entry.
    pub entry: Entry,
    /// It was read from the log and not heard live, so it may be older than some subscriptions.
    pub from_log: bool,
    /// This node published it: its subscribers have had it already.
    pub own: bool,
}

/// One channel's state.
#[derive(Debug)]
pub struct Inbox {
    own: Origin,
    log: Known,
    /// Origin and sequence of the entry at [`Known::UpTo`], if it was seen.
    last: Option<(Origin, u64)>,
    /// The log is being read; what comes live waits.
    reading: bool,
    held: BTreeMap<u64, (u64, Entry)>,
    /// Something that came while the log was read has been dropped: it must be read again.
    again: bool,
    seen: HashMap<Origin, u64>,
}

/// What is known of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing yet.
    Unread,
    /// That it had never had an entry.
    Empty,
    /// That everything up to here has been taken.
    UpTo(Position),
}

impl Inbox {
    /// A channel whose topic is not confirmed yet.
    #[must_use]
    pub fn new(own: Origin) -> Self {
        let held = BTreeMap::new();
        Self { own, log: Known::Unread, last: None, reading: false, held, again: false, seen: HashMap::new() }
    }

    /// The topic is confirmed, for the first time or again: whatever was published before may have been missed.
    pub fn on_subscribed(&mut self) -> Step {
        self.read()
    }

    /// A live entry.
    pub fn on_message(&mut self, at: Position, entry: Entry) -> Step {
        let mut step = Step::default();
        if self.reading {
            self.hold(at, entry);
            return step;
        }
        match self.log {
            Known::UpTo(last) if last.epoch == at.epoch && at.number <= last.number => step,
            Known::UpTo(last) if last.epoch == at.epoch && before(at.number, &entry) == last.number => {
                self.take(at, entry, false, &mut step);
                step
            }
            // The first entry of a new life of the log: nothing of it can have been missed.
            Known::UpTo(_) | Known::Empty if before(at.number, &entry) == 0 => {
                self.take(at, entry, false, &mut step);
                step
            }
            Known::UpTo(_) | Known::Empty | Known::Unread => {
                self.hold(at, entry);
                self.read()
            }
        }
    }

    /// What the log had.
    pub fn on_page(&mut self, page: Page) -> Step {
        self.reading = false;
        if self.is_replaced(&page) {
            self.log = Known::Unread;
            return self.read();
        }
        let mut step = Step::default();
        match page.newest {
            None if self.log == Known::Unread => self.log = Known::Empty,
            None => {}
            Some(newest) => self.on_entries(newest, page.entries, &mut step),
        }
        self.take_held(page.newest.map(|newest| newest.epoch), &mut step);
        if std::mem::take(&mut self.again) {
            step.read = self.read().read;
        }
        step
    }

    /// The log could not be read; the owner comes back with [`Inbox::on_subscribed`] when its link stands again.
    pub fn on_failure(&mut self) {
        self.reading = false;
    }

    /// Where the log is read from: before the newest entry taken, so that the page shows whether that is still there.
    #[must_use]
    pub fn from(&self) -> Option<Position> {
        match self.log {
            Known::UpTo(last) if self.last.is_some() => {
                Some(Position { number: last.number.saturating_sub(1), ..last })
            }
            Known::UpTo(last) => Some(last),
            Known::Unread | Known::Empty => None,
        }
    }

    fn read(&mut self) -> Step {
        self.reading = true;
        Step { read: Some(self.from()), ..Step::default() }
    }

    /// Has another entry the number of the last one taken? Then Redis came back without the end of its log and went on.
    fn is_replaced(&self, page: &Page) -> bool {
        let (Known::UpTo(known), Some(last), Some((number, entry))) =
            (self.log, self.last, page.entries.first())
        else {
            return false;
        };
        let same_life = page.newest.is_some_and(|newest| newest.epoch == known.epoch);
        same_life && *number == known.number && last != (entry.origin, entry.sequence)
    }

    /// Keeps a live entry for later. They are few: the log is read within a moment.
    fn hold(&mut self, at: Position, entry: Entry) {
        let epoch_changed = self.held.first_key_value().is_some_and(|(_, (epoch, _))| *epoch != at.epoch);
        if epoch_changed || self.held.len() >= MOST_HELD {
            self.again = true;
        } else {
            self.held.insert(at.number, (at.epoch, entry));
        }
    }

    fn on_entries(&mut self, newest: Position, mut entries: Vec<(u64, Entry)>, step: &mut Step) {
        let known = match self.log {
            Known::UpTo(last) if last.epoch == newest.epoch && last.number <= newest.number => {
                Some(last.number)
            }
            // A look for the first time, another life of the log, or one that came back with old memory: what lies
            // before it is not ours to miss.
            Known::UpTo(_) | Known::Unread | Known::Empty => None,
        };
        entries.retain(|(number, _)| known.is_none_or(|known| *number > known));
        let first = entries.first().map_or(newest.number, |(number, entry)| before(*number, entry));
        step.lost += known.map_or(0, |known| first.saturating_sub(known));
        for (number, entry) in entries {
            let live = self.held.get(&number).is_some_and(|(epoch, _)| *epoch == newest.epoch);
            self.take(Position { epoch: newest.epoch, number }, entry, !live, step);
        }
        self.reach(newest);
    }

    /// Everything up to here is done with.
    fn reach(&mut self, at: Position) {
        if self.log != Known::UpTo(at) {
            (self.log, self.last) = (Known::UpTo(at), None);
        }
    }

    /// Takes of what is held as much as follows without a hole. The rest is in the log by now.
    fn take_held(&mut self, epoch: Option<u64>, step: &mut Step) {
        for (number, (held_epoch, entry)) in std::mem::take(&mut self.held) {
            let last = match self.log {
                Known::UpTo(last) => last.number,
                Known::Unread | Known::Empty => 0,
            };
            let same = epoch.is_none_or(|epoch| epoch == held_epoch);
            if same && before(number, &entry) == last {
                self.take(Position { epoch: held_epoch, number }, entry, false, step);
            } else if !same || number > last {
                self.again = true;
            }
        }
    }

    /// Delivers an entry, unless it is a repeat.
    fn take(&mut self, at: Position, entry: Entry, from_log: bool, step: &mut Step) {
        (self.log, self.last) = (Known::UpTo(at), Some((entry.origin, entry.sequence)));
        let own = entry.origin == self.own;
        if self.seen.len() >= MOST_ORIGINS && !self.seen.contains_key(&entry.origin) {
            self.seen.clear();
        }
        let newest = self.seen.entry(entry.origin).or_default();
        if entry.sequence > *newest {
            *newest = entry.sequence;
            step.deliver.push(Heard { entry, from_log, own });
        }
    }
}

/// The number that stands before an entry's first event.
fn before(number: u64, entry: &Entry) -> u64 {
    number.saturating_sub(entry.events.len().max(1) as u64)
}

#[cfg(test)]
mod tests;
