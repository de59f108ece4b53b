//! What is true of this node's own clients, and what of it the others have still to be told.
//!
//! What waits is a set of channels with the users that changed there, never a queue of changes: a telling says the present
//! truth of one channel. One is on its way per partition, numbered, so that an answer that is late or lost does no harm:
//! whatever it spoke of is told again under a higher number. Changes of a presence channel are told at once, counts of
//! other channels about ten times a second. After each reconnect everything is told again, partition by partition: first
//! the node looks which channels it is said to be in. Pure: the owner does what [`Truth::next`] says and brings the answer.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use gema_protocol::channel::ChannelName;

use crate::entry::Origin;
use crate::name::Partition;
use crate::replica::Version;
use crate::telling::{Claim, Telling, Told};

/// Least time between two tellings of a channel's count.
pub const COUNT_PAUSE: Duration = Duration::from_millis(100);

/// Most users of one telling: Redis serves nobody else meanwhile.
const MOST_USERS: usize = if cfg!(test) { 2 } else { 1_000 };

/// A client's change, counted from 1 over all channels: see [`Settled`].
pub type Step = u64;

/// What the owner does now.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// Ask which channels of the partition the node is said to be in; then [`Truth::listed`] or [`Truth::failed`].
    List(Partition, u64),
    /// Tell this; then [`Truth::answered`] or [`Truth::failed`].
    Tell(Telling),
}

/// Every change of a channel up to a step is true for everybody from a version on.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// The channel.
    pub channel: ChannelName,
    /// The step.
    pub step: Step,
    /// The version.
    pub version: Version,
}

/// The truth of one app.
#[derive(Debug)]
pub struct Truth {
    channels: HashMap<ChannelName, Channel>,
    parts: Vec<Part>,
    steps: Step,
}

#[derive(Debug, Default)]
struct Channel {
    subscriptions: u64,
    /// That there are subscribers was confirmed.
    known: bool,
    users: HashMap<String, User>,
    /// Who is to be told of.
    dirty: BTreeSet<String>,
    /// Everything is to be told.
    whole: bool,
    told_at: Option<Duration>,
    /// When it is to be told; `None` when there is nothing new.
    due: Option<Duration>,
}

/// Stays without connections until it is confirmed that the user is gone.
#[derive(Debug)]
struct User {
    member: Bytes,
    connections: usize,
    known: bool,
}

#[derive(Debug)]
struct Part {
    partition: Partition,
    number: u64,
    is_listed: bool,
    flight: Option<Flight>,
    queue: BTreeSet<(Duration, ChannelName)>,
}

/// What is on its way.
#[derive(Debug)]
enum Flight {
    List,
    Tell { telling: Telling, step: Step },
}

impl Default for Truth {
    fn default() -> Self {
        let part =
            |partition| Part { partition, number: 0, is_listed: true, flight: None, queue: BTreeSet::new() };
        Self { channels: HashMap::new(), parts: Partition::all().map(part).collect(), steps: 0 }
    }
}

impl Truth {
    /// A client has come, as this member (id, and JSON as the app signed it) if it is a presence channel. The step that is
    /// to be settled before everybody knows; `None` when everybody knew the user already.
    pub fn joined(
        &mut self,
        name: &ChannelName,
        member: Option<(&str, &Bytes)>,
        now: Duration,
    ) -> Option<Step> {
        let channel = self.channels.entry(name.clone()).or_default();
        channel.subscriptions += 1;
        let is_known = member.is_some_and(|(id, json)| !channel.add(id, json));
        self.changed(name, now);
        (!is_known).then_some(self.steps)
    }

    /// A client has left, or did not come in after all.
    pub fn left(&mut self, name: &ChannelName, user: Option<&str>, now: Duration) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.subscriptions = channel.subscriptions.saturating_sub(1);
        if let Some(id) = user {
            channel.take(id);
        }
        self.changed(name, now);
    }

    /// The link stands anew, or the node has another id: nothing that was told can be relied on.
    pub fn tell_everything(&mut self, now: Duration) {
        for part in &mut self.parts {
            part.flight = None;
            part.is_listed = false;
        }
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.channels.entry(name.clone()).or_default().whole = true;
            self.enqueue(&name, now);
        }
    }

    /// What to do now, speaking as `node`. Call it until there is nothing.
    pub fn next(&mut self, node: Origin, now: Duration) -> Option<Work> {
        let index = self.parts.iter().position(|part| part.has_work(now))?;
        let part = &mut self.parts[index];
        part.number += 1;
        if !part.is_listed {
            part.flight = Some(Flight::List);
            return Some(Work::List(part.partition, part.number));
        }
        let (_, name) = part.queue.pop_first()?;
        let number = part.number;
        let channel = self.channels.get_mut(&name)?;
        let telling = Telling { node, number, ..channel.telling(&name, now) };
        let is_all = channel.dirty.is_empty();
        if !is_all {
            self.enqueue(&name, now);
        }
        // As long as something is left, no step is settled.
        let step = if is_all { self.steps } else { 0 };
        self.parts[index].flight = Some(Flight::Tell { telling: telling.clone(), step });
        Some(Work::Tell(telling))
    }

    /// When [`Truth::next`] may have something again, unless an answer comes first.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        let idle = self.parts.iter().filter(|part| part.flight.is_none());
        idle.filter_map(|part| part.queue.first().map(|(due, _)| *due)).min()
    }

    /// The channels of which there is something to tell.
    #[must_use]
    pub fn untold(&self) -> Vec<ChannelName> {
        let waiting = |part: &Part| part.queue.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
        let flying = |part: &Part| match &part.flight {
            Some(Flight::Tell { telling, .. }) => Some(telling.channel.clone()),
            Some(Flight::List) | None => None,
        };
        self.parts.iter().flat_map(|part| waiting(part).into_iter().chain(flying(part))).collect()
    }

    /// What there is to tell of a channel does not wait any longer. The step that is to be settled before everybody knows;
    /// `None` when everybody does.
    pub fn hurry(&mut self, name: &ChannelName, now: Duration) -> Option<Step> {
        let steps = self.steps;
        let due = &mut self.channels.get_mut(name)?.due;
        let was_due = due.as_mut().map(|due| std::mem::replace(due, now.min(*due)));
        let part = self.part(Partition::of(name));
        if let Some(due) = was_due {
            part.queue.remove(&(due, name.clone()));
            part.queue.insert((now.min(due), name.clone()));
            return Some(steps);
        }
        match &part.flight {
            Some(Flight::Tell { telling, step }) if telling.channel == *name => Some(*step),
            _ => None,
        }
    }

    /// Is there anything that the others do not know?
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.parts.iter().all(|part| part.flight.is_none() && part.queue.is_empty())
    }

    /// Has everything been told since [`Truth::tell_everything`]? What has changed meanwhile may still be under way.
    #[must_use]
    pub fn is_told_anew(&self) -> bool {
        let is_anew = |part: &Part| match &part.flight {
            None => part.is_listed,
            Some(Flight::List) => false,
            Some(Flight::Tell { telling, .. }) => !telling.whole,
        };
        self.parts.iter().all(is_anew) && !self.channels.values().any(|channel| channel.whole)
    }

    /// In which channels the node is said to be. Those it is not in are taken back.
    pub fn listed(&mut self, partition: Partition, number: u64, names: Vec<ChannelName>, now: Duration) {
        let Some(Flight::List) = self.landed(partition, number) else { return };
        self.part(partition).is_listed = true;
        for name in names.into_iter().filter(|name| Partition::of(name) == partition) {
            if !self.channels.contains_key(&name) {
                let ghost = Channel { known: true, whole: true, ..Channel::default() };
                self.channels.insert(name.clone(), ghost);
                self.enqueue(&name, now);
            }
        }
    }

    /// Users whom the node is said to have in a channel. Those it does not have are taken back; when others were confirmed that
    /// are not among them, the place has lost something, and everything is told again.
    pub fn is_said<'a>(&mut self, name: &ChannelName, users: impl Iterator<Item = &'a str>, now: Duration) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let before = channel.dirty.len();
        let said: HashSet<&str> = users.collect();
        let is_lost = |(id, user): (&String, &User)| user.known && !said.contains(id.as_str());
        channel.whole |= channel.users.iter().any(is_lost);
        let is_lost = channel.whole;
        for id in said.into_iter().filter(|id| !channel.users.contains_key(*id)).collect::<Vec<_>>() {
            let ghost = User { member: Bytes::new(), connections: 0, known: false };
            channel.users.insert(id.to_owned(), ghost);
            channel.dirty.insert(id.to_owned());
        }
        if is_lost || channel.dirty.len() > before {
            self.enqueue(name, now);
        }
    }

    /// The node is said to have nobody in a channel. Told again if the opposite was confirmed.
    pub fn is_not_said(&mut self, name: &ChannelName, now: Duration) {
        if let Some(channel) = self.channels.get_mut(name).filter(|channel| channel.known) {
            channel.whole = true;
            self.enqueue(name, now);
        }
    }

    /// What became of a telling. Of an answer that comes too late nothing is learned.
    pub fn answered(
        &mut self,
        partition: Partition,
        number: u64,
        told: Told,
        now: Duration,
    ) -> Option<Settled> {
        let Some(Flight::Tell { telling, step }) = self.landed(partition, number) else { return None };
        match told {
            Told::Taken(version) => {
                self.confirm(&telling);
                Some(Settled { channel: telling.channel, step, version })
            }
            Told::Stale(taken) => {
                let part = self.part(partition);
                part.number = part.number.max(taken);
                self.retry(telling, now);
                None
            }
            Told::Dead => {
                self.retry(telling, now);
                None
            }
        }
    }

    /// There was no answer; it may have been done all the same.
    pub fn failed(&mut self, partition: Partition, number: u64, now: Duration) {
        if let Some(Flight::Tell { telling, .. }) = self.landed(partition, number) {
            self.retry(telling, now);
        }
    }

    fn part(&mut self, partition: Partition) -> &mut Part {
        &mut self.parts[partition.index()]
    }

    /// What was on its way under this number, if it still is.
    fn landed(&mut self, partition: Partition, number: u64) -> Option<Flight> {
        let part = self.part(partition);
        if part.number == number { part.flight.take() } else { None }
    }

    fn changed(&mut self, name: &ChannelName, now: Duration) {
        self.steps += 1;
        self.enqueue(name, now);
    }

    /// Puts a channel among those to be told, once.
    fn enqueue(&mut self, name: &ChannelName, now: Duration) {
        let Some(channel) = self.channels.get_mut(name).filter(|channel| channel.due.is_none()) else {
            return;
        };
        let rest = if name.kind().is_presence() { Duration::ZERO } else { COUNT_PAUSE };
        let due = channel.told_at.map_or(now, |at| now.max(at + rest));
        channel.due = Some(due);
        self.part(Partition::of(name)).queue.insert((due, name.clone()));
    }

    fn confirm(&mut self, telling: &Telling) {
        let Some(channel) = self.channels.get_mut(&telling.channel) else { return };
        channel.confirm(telling);
        if channel.subscriptions == 0 && channel.users.is_empty() && channel.due.is_none() {
            self.channels.remove(&telling.channel);
        }
    }

    fn retry(&mut self, telling: Telling, now: Duration) {
        let Some(channel) = self.channels.get_mut(&telling.channel) else { return };
        channel.whole |= telling.whole;
        channel.dirty.extend(telling.users.into_iter().map(|claim| claim.user_id));
        self.enqueue(&telling.channel, now);
    }
}

impl Part {
    fn has_work(&self, now: Duration) -> bool {
        let is_due = || self.queue.first().is_some_and(|(due, _)| *due <= now);
        self.flight.is_none() && (!self.is_listed || is_due())
    }
}

impl Channel {
    /// False when everybody knows that the user is there.
    fn add(&mut self, id: &str, json: &Bytes) -> bool {
        let new = || User { member: json.clone(), connections: 0, known: false };
        let user = self.users.entry(id.to_owned()).or_insert_with(new);
        if user.connections == 0 {
            user.member = json.clone();
            self.dirty.insert(id.to_owned());
        }
        user.connections += 1;
        self.dirty.contains(id) || !user.known
    }

    fn take(&mut self, id: &str) {
        let Some(user) = self.users.get_mut(id) else { return };
        user.connections = user.connections.saturating_sub(1);
        if user.connections == 0 {
            self.dirty.insert(id.to_owned());
        }
    }

    /// What is to be told, or a part of it if that is too much for one telling.
    fn telling(&mut self, name: &ChannelName, now: Duration) -> Telling {
        let everything = std::mem::take(&mut self.whole);
        let whole = everything && self.users.len() <= MOST_USERS;
        if everything && !whole {
            self.dirty = self.users.keys().cloned().collect();
        }
        let dirty = self.take_dirty();
        (self.due, self.told_at) = (None, Some(now));
        let users = if whole {
            self.users.iter().map(|(id, user)| user.claim(id)).collect()
        } else {
            dirty.iter().filter_map(|id| Some(self.users.get(id)?.claim(id))).collect()
        };
        Telling {
            node: Origin(0),
            number: 0,
            channel: name.clone(),
            subscriptions: self.subscriptions,
            known: self.known,
            whole,
            users,
        }
    }

    fn take_dirty(&mut self) -> BTreeSet<String> {
        let rest = match self.dirty.iter().nth(MOST_USERS).cloned() {
            Some(first) => self.dirty.split_off(&first),
            None => BTreeSet::new(),
        };
        std::mem::replace(&mut self.dirty, rest)
    }

    fn confirm(&mut self, telling: &Telling) {
        self.known = telling.subscriptions > 0;
        for claim in &telling.users {
            let Some(user) = self.users.get_mut(&claim.user_id) else { continue };
            user.known = claim.member.is_some();
            if user.connections == 0 && !user.known {
                self.users.remove(&claim.user_id);
                self.dirty.remove(&claim.user_id);
            }
        }
    }
}

impl User {
    fn claim(&self, id: &str) -> Claim {
        let member = (self.connections > 0).then(|| self.member.clone());
        Claim { user_id: id.to_owned(), member, known: self.known }
    }
}

#[cfg(test)]
mod tests;
