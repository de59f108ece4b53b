//! The place where nodes meet, in memory: for tests of what is built on the seam ([`gema_cluster::engine`]). It forgets when
//! told to.

mod hooks;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use gema_protocol::channel::ChannelName;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use gema_cluster::engine::{Asked, Counts, Engine, EngineError, Kept, Notice, Notices};
use gema_cluster::entry::{Entry, Origin};
use gema_cluster::inbox::{Page, Position};
use gema_cluster::lease::{LEASE, Places, Renewal, Renewed, Standing};
use gema_cluster::name::Partition;
use gema_cluster::outgoing::{Answer, Append};
use gema_cluster::replica::{Delta, Fact, Snapshot, Version};
use gema_cluster::telling::{Telling, Told};
use gema_cluster::webhook::Rules;
use hooks::Ledger;

/// Notices that may wait for a node.
const NOTICES: usize = 65_536;

/// What the nodes of one app share.
#[derive(Clone, Default)]
pub struct Memory {
    meeting: Arc<Mutex<Meeting>>,
}

#[derive(Default)]
struct Meeting {
    /// The newest life of any log.
    epoch: u64,
    logs: HashMap<ChannelName, Log>,
    last_events: HashMap<ChannelName, Kept>,
    /// Until when further misses of a cache channel are not told.
    missed: HashMap<ChannelName, Instant>,
    facts: HashMap<ChannelName, Facts>,
    /// The last number taken from each node.
    taken: HashMap<Origin, u64>,
    leases: BTreeMap<Origin, Lease>,
    /// Declared dead, for ever.
    dead: HashSet<Origin>,
    clock: Clock,
    ledger: Ledger,
    nodes: Vec<Node>,
}

/// What a node said when it renewed its lease last.
struct Lease {
    ends: Duration,
    connections: u64,
    promised: u64,
}

/// Follows tokio's clock, which tests may pause, and goes forward when told to.
struct Clock {
    begun: Instant,
    at: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { begun: Instant::now(), at: UNIX_EPOCH.elapsed().unwrap_or_default() }
    }
}

impl Clock {
    fn now(&self) -> Duration {
        self.at + self.begun.elapsed()
    }
}

/// One channel's events.
#[derive(Default)]
struct Log {
    epoch: u64,
    number: u64,
    entries: Vec<(u64, Entry)>,
}

/// What nodes say of one channel.
#[derive(Default)]
struct Facts {
    version: Version,
    members: BTreeMap<(Origin, String), Bytes>,
    subscriptions: BTreeMap<Origin, u64>,
}

impl Facts {
    /// True when the node had said anything.
    fn forget(&mut self, node: Origin) -> bool {
        let before = self.members.len();
        self.members.retain(|(of, _), _| *of != node);
        self.subscriptions.remove(&node).is_some() || self.members.len() < before
    }

    /// True when something is new.
    fn take(&mut self, telling: &Telling) -> bool {
        let before = (self.members.len(), self.subscriptions.get(&telling.node).copied());
        let claimed = |user: &String| telling.users.iter().any(|claim| claim.user_id == *user);
        if telling.whole {
            self.members.retain(|(node, user), _| *node != telling.node || claimed(user));
        }
        let mut changed = self.members.len() != before.0;
        for claim in &telling.users {
            let key = (telling.node, claim.user_id.clone());
            changed |= match &claim.member {
                Some(member) => self.members.insert(key, member.clone()).is_none(),
                None => self.members.remove(&key).is_some(),
            };
        }
        self.subscriptions.insert(telling.node, telling.subscriptions);
        self.subscriptions.retain(|_, count| *count > 0);
        changed || before.1.unwrap_or(0) != telling.subscriptions
    }
}

struct Node {
    notices: mpsc::Sender<Notice>,
    held: HashSet<ChannelName>,
    linked: bool,
    /// What webhooks it decides about.
    rules: Option<Rules>,
    /// In which epoch what it told of a channel was confirmed.
    relied: HashMap<ChannelName, u64>,
}

/// One node's share.
pub struct MemoryEngine {
    meeting: Arc<Mutex<Meeting>>,
    index: usize,
}

impl Memory {
    /// Another node, with a link that stands.
    #[must_use]
    pub fn join(&self) -> (MemoryEngine, Notices) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let mut meeting = self.meeting.lock();
        meeting.nodes.push(Node {
            notices,
            held: HashSet::new(),
            linked: true,
            rules: None,
            relied: HashMap::new(),
        });
        let index = meeting.nodes.len() - 1;
        meeting.nodes[index].tell(Notice::Up);
        (MemoryEngine { meeting: self.meeting.clone(), index }, receiver)
    }

    /// Forgets everything and breaks every link, as a Redis that starts again without its memory.
    pub fn restart(&self) {
        let mut meeting = self.meeting.lock();
        meeting.logs.clear();
        meeting.last_events.clear();
        meeting.missed.clear();
        meeting.facts.clear();
        meeting.taken.clear();
        meeting.leases.clear();
        meeting.dead.clear();
        meeting.ledger.forget();
        for node in &mut meeting.nodes {
            node.unlink();
            node.link();
        }
    }
}

impl Memory {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.meeting.lock().clock.at += time;
    }
}

impl Node {
    fn tell(&mut self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.unlink();
        }
    }

    fn unlink(&mut self) {
        self.linked = false;
        self.held.clear();
        let _ = self.notices.try_send(Notice::Down);
    }

    fn link(&mut self) {
        self.linked = true;
        self.tell(Notice::Up);
    }
}

impl Meeting {
    fn newest(&self, channel: &ChannelName) -> Option<Position> {
        self.logs.get(channel).map(|log| Position { epoch: log.epoch, number: log.number })
    }

    fn append(&mut self, append: &Append, keep: Option<(&str, Duration)>) -> Answer {
        if let Some(expected) = append.expected {
            let same_life = |log: &&mut Log| log.epoch == expected.epoch;
            let Some(log) = self.logs.get_mut(&append.channel).filter(same_life) else {
                return Answer::Behind(self.newest(&append.channel));
            };
            if log.number < expected.number {
                self.epoch += 1;
                log.epoch = self.epoch;
                return Answer::Behind(self.newest(&append.channel));
            }
        }
        let log = self.logs.entry(append.channel.clone()).or_insert_with(|| {
            self.epoch += 1;
            Log { epoch: self.epoch, ..Log::default() }
        });
        let (entry, origin) = (&append.entry, append.entry.origin);
        let told = log.entries.iter().any(|(_, old)| old.origin == origin && old.sequence >= entry.sequence);
        if told || entry.events.is_empty() {
            return Answer::Appended(Position { epoch: log.epoch, number: log.number });
        }
        log.number += entry.events.len() as u64;
        log.entries.push((log.number, entry.clone()));
        let at = Position { epoch: log.epoch, number: log.number };
        if let Some((text, time)) = keep {
            self.last_events.insert(append.channel.clone(), (text.to_owned(), time));
        }
        for node in self.nodes.iter_mut().filter(|node| node.held.contains(&append.channel)) {
            node.tell(Notice::Entry { channel: append.channel.clone(), at, entry: entry.clone() });
        }
        Answer::Appended(at)
    }

    /// Takes a telling and decides which webhooks follow from it.
    fn tell(&mut self, index: usize, telling: &Telling) -> Told {
        let before = self.head_count(&telling.channel);
        let told = self.take(telling);
        if let Told::Taken(_) = told {
            self.decide(index, telling, &before);
        }
        told
    }

    fn take(&mut self, telling: &Telling) -> Told {
        if self.dead.contains(&telling.node) {
            return Told::Dead;
        }
        let taken = self.taken.entry(telling.node).or_default();
        if telling.number <= *taken {
            return Told::Stale(*taken);
        }
        *taken = telling.number;
        let facts = self.facts.entry(telling.channel.clone()).or_default();
        let is_farewell = telling.whole && telling.subscriptions == 0;
        if facts.take(telling) || is_farewell {
            facts.version += 1;
            let delta = telling.delta(facts.version - 1, facts.version);
            let version = facts.version;
            self.tell_delta(&telling.channel, &delta);
            return Told::Taken(version);
        }
        Told::Taken(facts.version)
    }

    fn tell_delta(&mut self, channel: &ChannelName, delta: &Delta) {
        for node in self.nodes.iter_mut().filter(|node| node.held.contains(channel)) {
            node.tell(Notice::Delta { channel: channel.clone(), delta: delta.clone() });
        }
    }

    fn renew(&mut self, renewal: &Renewal) -> Renewed {
        let now = self.clock.now();
        let stands = self.leases.get(&renewal.node).map(|lease| lease.ends > now);
        if self.dead.contains(&renewal.node) || !stands.unwrap_or(renewal.first) {
            return Renewed::Ended;
        }
        let (living, ended): (Vec<_>, Vec<_>) = self
            .leases
            .iter()
            .filter(|(node, _)| **node != renewal.node)
            .partition(|(_, lease)| lease.ends > now);
        let promised: u64 = living.iter().map(|(_, lease)| lease.promised).sum();
        let free = renewal.limit.map_or(0, |limit| limit.saturating_sub(renewal.connections + promised));
        let standing = Standing {
            elsewhere: living.iter().map(|(_, lease)| lease.connections).sum(),
            ended: ended.into_iter().map(|(node, _)| *node).collect(),
            places: Places::of(free, renewal.wanted, living.len() as u64 + 1),
        };
        let promised = renewal.connections + standing.places.given;
        let lease = Lease { ends: now + LEASE, connections: renewal.connections, promised };
        self.leases.insert(renewal.node, lease);
        Renewed::Stands(standing)
    }

    fn reap(&mut self, index: usize, node: Origin, partition: Partition) {
        self.dead.insert(node);
        self.decide_death(index, node, partition);
        let mut deltas = Vec::new();
        for (channel, facts) in
            self.facts.iter_mut().filter(|(channel, _)| Partition::of(channel) == partition)
        {
            if facts.forget(node) {
                facts.version += 1;
                let (follows, version) = (facts.version - 1, facts.version);
                let delta = Delta { follows, version, facts: Vec::new(), count: None, gone: Some(node) };
                deltas.push((channel.clone(), delta));
            }
        }
        deltas.iter().for_each(|(channel, delta)| self.tell_delta(channel, delta));
    }

    fn bury(&mut self, node: Origin) -> bool {
        self.dead.insert(node);
        self.leases.remove(&node).is_some()
    }

    fn channels_of(&self, node: Origin, partition: Partition) -> Vec<ChannelName> {
        let here = self.facts.iter().filter(|(channel, _)| Partition::of(channel) == partition);
        let of_node = here.filter(|(_, facts)| facts.subscriptions.contains_key(&node));
        of_node.map(|(channel, _)| channel.clone()).collect()
    }

    fn snapshot(&self, channel: &ChannelName) -> Snapshot {
        let Some(facts) = self.facts.get(channel) else { return Snapshot::default() };
        let fact = |((node, user_id), member): (&(Origin, String), &Bytes)| Fact {
            node: *node,
            user_id: user_id.clone(),
            member: Some(member.clone()),
        };
        Snapshot {
            version: facts.version,
            facts: facts.members.iter().map(fact).collect(),
            counts: facts.subscriptions.iter().map(|(node, count)| (*node, *count)).collect(),
        }
    }

    fn counts(&self, channel: &ChannelName) -> Counts {
        let subscriptions = self.facts.get(channel).map_or(0, |facts| facts.subscriptions.values().sum());
        Counts { subscriptions, users: self.users_of(channel).len() as u64 }
    }

    fn users_of(&self, channel: &ChannelName) -> BTreeSet<String> {
        let members = self.facts.get(channel).into_iter().flat_map(|facts| facts.members.keys());
        members.map(|(_, user)| user.clone()).collect()
    }

    fn occupied(&self, prefix: &str) -> Vec<(ChannelName, u64)> {
        let names = self.facts.keys().filter(|name| name.starts_with(prefix));
        let counted = names.map(|name| (name.clone(), self.counts(name).subscriptions));
        counted.filter(|(_, subscriptions)| *subscriptions > 0).collect()
    }

    fn is_first_miss(&mut self, channel: &ChannelName, period: Duration) -> bool {
        let now = Instant::now();
        let is_first = self.missed.get(channel).is_none_or(|until| *until <= now);
        if is_first {
            self.missed.insert(channel.clone(), now + period);
        }
        is_first
    }

    fn page(&self, channel: &ChannelName, after: Option<Position>) -> Page {
        let newest = self.newest(channel);
        let known = |after: &Position| {
            newest.is_some_and(|newest| newest.epoch == after.epoch && after.number <= newest.number)
        };
        let from = after.filter(known).map_or(0, |after| after.number);
        let entries = self.logs.get(channel).map(|log| &log.entries).into_iter().flatten();
        Page { newest, entries: entries.filter(|(number, _)| *number > from).cloned().collect() }
    }
}

impl MemoryEngine {
    /// Cuts this node's link, or makes it anew.
    pub fn set_link(&self, linked: bool) {
        let node = &mut self.meeting.lock().nodes[self.index];
        if linked { node.link() } else { node.unlink() }
    }

    /// Does something with what is shared, if the link stands.
    fn with<'a, T: Send + 'a>(
        &self,
        act: impl FnOnce(&mut Meeting) -> T,
    ) -> BoxFuture<'a, Result<T, EngineError>> {
        let mut meeting = self.meeting.lock();
        let linked = meeting.nodes[self.index].linked;
        let done = if linked { Ok(act(&mut meeting)) } else { Err(EngineError::Down("cut".to_owned())) };
        ready(done).boxed()
    }
}

impl Engine for MemoryEngine {
    fn append<'a>(
        &'a self,
        append: &'a Append,
        keep: Option<(&'a str, Duration)>,
    ) -> BoxFuture<'a, Result<Answer, EngineError>> {
        self.with(|meeting| meeting.append(append, keep))
    }

    fn page<'a>(
        &'a self,
        channel: &'a ChannelName,
        after: Option<Position>,
    ) -> BoxFuture<'a, Result<Page, EngineError>> {
        self.with(|meeting| meeting.page(channel, after))
    }

    fn last_event<'a>(
        &'a self,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<Option<Kept>, EngineError>> {
        self.with(|meeting| meeting.last_events.get(channel).cloned())
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Result<Told, EngineError>> {
        self.with(|meeting| meeting.tell(self.index, telling))
    }

    fn channels_of<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
    ) -> BoxFuture<'a, Result<Vec<ChannelName>, EngineError>> {
        self.with(|meeting| meeting.channels_of(node, partition))
    }

    fn snapshot<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Snapshot, EngineError>> {
        self.with(|meeting| meeting.snapshot(channel))
    }

    fn renew<'a>(&'a self, renewal: &'a Renewal) -> BoxFuture<'a, Result<Renewed, EngineError>> {
        self.with(|meeting| meeting.renew(renewal))
    }

    fn reap(&self, node: Origin, partition: Partition) -> BoxFuture<'_, Result<(), EngineError>> {
        self.with(|meeting| meeting.reap(self.index, node, partition))
    }

    fn bury(&self, node: Origin) -> BoxFuture<'_, Result<bool, EngineError>> {
        self.with(|meeting| meeting.bury(node))
    }

    fn lay_down(&self, node: Origin) -> BoxFuture<'_, Result<(), EngineError>> {
        self.with(|meeting| {
            meeting.dead.insert(node);
            if let Some(lease) = meeting.leases.get_mut(&node) {
                lease.ends = Duration::ZERO;
            }
        })
    }

    fn occupied<'a>(&'a self, prefix: &'a str) -> Asked<'a, Vec<(ChannelName, u64)>> {
        self.with(|meeting| meeting.occupied(prefix))
    }

    fn counts<'a>(&'a self, channels: &'a [ChannelName]) -> Asked<'a, Vec<Counts>> {
        self.with(|meeting| channels.iter().map(|channel| meeting.counts(channel)).collect())
    }

    fn users_of<'a>(&'a self, channel: &'a ChannelName) -> Asked<'a, Vec<String>> {
        self.with(|meeting| meeting.users_of(channel).into_iter().collect())
    }

    fn is_first_miss<'a>(&'a self, channel: &'a ChannelName, period: Duration) -> Asked<'a, bool> {
        self.with(|meeting| meeting.is_first_miss(channel, period))
    }

    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        self.with(|meeting| meeting.nodes[self.index].held.extend(channels.iter().cloned()))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.meeting.lock().clock.now().as_millis()).unwrap_or(u64::MAX)
    }

    fn clock_error_ms(&self) -> u64 {
        0
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        self.with(|meeting| meeting.nodes[self.index].held.retain(|held| !channels.contains(held)))
    }
}
