//! Which events there are: a return within the grace period takes a going back, many misses are one, and the counts of a
//! large channel are summed up. What happens comes in as [`Fact`]s, in order, each with its time.

use std::time::Duration;

use super::Kind;
use super::delayed::Delayed;
use super::event::Event;
use crate::channel::ChannelName;
use crate::limits::{COUNT_PAUSE, COUNTED_AT_ONCE};
use crate::presence::UserId;

/// How long a channel may be empty, or a user away, before a webhook says so.
pub const GRACE: Duration = Duration::from_secs(3);

/// Entries of each table. Beyond them grace periods end early, and misses are told again.
const MOST: usize = 65_536;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A channel got its first subscriber.
    Occupied(ChannelName),
    /// A channel lost its last subscriber.
    Vacated(ChannelName),
    /// A user got a first connection in a presence channel.
    Joined(ChannelName, UserId),
    /// A user lost the last connection in a presence channel.
    Left(ChannelName, UserId),
    /// A channel has this many subscribers now.
    Counted(ChannelName, usize),
    /// A subscriber of a cache channel found it empty.
    Missed(ChannelName),
    /// A cache channel that may have been missed has an event now.
    Cached(ChannelName),
    /// A client event, which nothing is to be decided about.
    Sent(Event),
}

impl Fact {
    /// The kind of event it can lead to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Occupied(_) => Kind::ChannelOccupied,
            Self::Vacated(_) => Kind::ChannelVacated,
            Self::Joined(..) => Kind::MemberAdded,
            Self::Left(..) => Kind::MemberRemoved,
            Self::Counted(..) => Kind::SubscriptionCount,
            Self::Missed(_) | Self::Cached(_) => Kind::CacheMiss,
            Self::Sent(event) => event.kind(),
        }
    }

    /// Bytes it takes in memory, about. Names are shared with the channel.
    #[must_use]
    pub fn size(&self) -> usize {
        let more = if let Self::Sent(event) = self { event.size() } else { 0 };
        size_of::<Self>() + more
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    /// See [`GRACE`].
    pub grace: Duration,
    /// After this, a miss is told again even if nothing was cached since: the event that told it may have been lost.
    pub miss: Duration,
}

/// Somebody or a channel that may come back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Gone {
    Channel(ChannelName),
    Member(ChannelName, UserId),
}

impl Gone {
    fn event(&self) -> Event {
        match self {
            Self::Channel(channel) => Event::of(Kind::ChannelVacated, channel),
            Self::Member(channel, user) => Event::of_member(Kind::MemberRemoved, channel, user),
        }
    }
}

/// Decides for one app. Times are durations since any fixed moment and never go back.
#[derive(Debug)]
pub struct Decider {
    periods: Periods,
    gone: Delayed<Gone, ()>,
    counts: Delayed<ChannelName, usize>,
    missed: Delayed<ChannelName, ()>,
    at_once: bool,
}

impl Decider {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(periods: Periods) -> Self {
        let (gone, counts, missed) = (Delayed::new(MOST), Delayed::new(MOST), Delayed::new(MOST));
        Self { periods, gone, counts, missed, at_once: false }
    }

    /// Takes in what happened at `now`; what is to be told because of it, and what has become due, goes to `events`.
    pub fn on(&mut self, fact: Fact, now: Duration, events: &mut Vec<Event>) {
        self.release(now, events);
        match fact {
            Fact::Occupied(channel) => {
                let event = Event::of(Kind::ChannelOccupied, &channel);
                self.come(&Gone::Channel(channel), event, events);
            }
            Fact::Joined(channel, user) => {
                let event = Event::of_member(Kind::MemberAdded, &channel, &user);
                self.come(&Gone::Member(channel, user), event, events);
            }
            Fact::Vacated(channel) => self.go(Gone::Channel(channel), now, events),
            Fact::Left(channel, user) => self.go(Gone::Member(channel, user), now, events),
            Fact::Counted(channel, count) => self.count(channel, count, now, events),
            Fact::Missed(channel) => self.miss(channel, now, events),
            Fact::Cached(channel) => drop(self.missed.take(&channel)),
            Fact::Sent(event) => events.push(event),
        }
    }

    /// What has become due at `now`.
    pub fn release(&mut self, now: Duration, events: &mut Vec<Event>) {
        while let Some((gone, ())) = self.gone.pop_due(now) {
            events.push(gone.event());
        }
        while let Some((channel, count)) = self.counts.pop_due(now) {
            events.push(Event::subscription_count(&channel, count));
        }
        while self.missed.pop_due(now).is_some() {}
    }

    /// When [`Decider::release`] has something to say next.
    pub fn next_due(&mut self) -> Option<Duration> {
        [self.gone.next_due(), self.counts.next_due()].into_iter().flatten().min()
    }

    /// Waits for nothing any more: all that is not due yet is told now, and what happens from now on at once.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        self.at_once = true;
        self.release(Duration::MAX, events);
    }

    fn come(&mut self, was: &Gone, event: Event, events: &mut Vec<Event>) {
        if self.gone.take(was).is_none() {
            events.push(event);
        }
    }

    fn go(&mut self, gone: Gone, now: Duration, events: &mut Vec<Event>) {
        if self.at_once {
            return events.push(gone.event());
        }
        if let Some((oldest, ())) = self.gone.put(gone, (), now + self.periods.grace) {
            events.push(oldest.event());
        }
    }

    fn count(&mut self, channel: ChannelName, count: usize, now: Duration, events: &mut Vec<Event>) {
        if count <= COUNTED_AT_ONCE || self.at_once {
            self.counts.take(&channel);
            return events.push(Event::subscription_count(&channel, count));
        }
        if let Some(latest) = self.counts.get_mut(&channel) {
            *latest = count;
        } else if let Some((oldest, count)) = self.counts.put(channel, count, now + COUNT_PAUSE) {
            events.push(Event::subscription_count(&oldest, count));
        }
    }

    fn miss(&mut self, channel: ChannelName, now: Duration, events: &mut Vec<Event>) {
        if self.missed.get_mut(&channel).is_none() {
            events.push(Event::of(Kind::CacheMiss, &channel));
            self.missed.put(channel, (), now + self.periods.miss);
        }
    }
}

#[cfg(test)]
mod tests;
