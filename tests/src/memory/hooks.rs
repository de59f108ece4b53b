//! Webhooks in memory: the same decisions as `redis/hooks.lua`. See [`gema_cluster::webhook`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gema_protocol::channel::ChannelName;
use gema_protocol::limits::{COUNT_PAUSE, COUNTED_AT_ONCE};
use gema_protocol::webhook::{Kind, concerns};

use super::{Meeting, MemoryEngine};
use gema_cluster::engine::{EngineError, Notice};
use gema_cluster::entry::Origin;
use gema_cluster::name::Partition;
use gema_cluster::telling::Telling;
use gema_cluster::webhook::{
    AT_ONCE, Answer, Dead, Parcel, Place, Record, Rules, Settled, Taken, Webhooks, subject,
};

/// When Redis had forgotten what is taken back, others may still have to say that they have it, too.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(10);

/// The webhooks of an app that nobody has delivered yet.
#[derive(Default)]
pub(super) struct Ledger {
    records: BTreeMap<u64, Kept>,
    /// Goings that a return takes back, and counts that are summed up, by what they are about.
    waiting: HashMap<(bool, String), u64>,
    /// Who tells of a channel, and how many records that node has to.
    lanes: HashMap<ChannelName, (Origin, usize)>,
    batches: BTreeMap<(Origin, Partition, String), Parcel>,
    successors: HashMap<Origin, Origin>,
    newest: u64,
    /// Another one each time that everything was forgotten.
    epoch: u64,
}

struct Kept {
    owner: Origin,
    state: State,
    record: Record,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Waiting,
    Handed,
}

/// What happened, where, to whom, and how many there are now.
type What<'a> = (Kind, &'a ChannelName, &'a str, u64);

/// One telling's decisions, by the rules of the node that tells.
struct Deciding<'a> {
    ledger: &'a mut Ledger,
    rules: Option<Rules>,
    node: Origin,
    now: Duration,
}

impl Deciding<'_> {
    fn needs(&self, kind: Kind, channel: &ChannelName) -> Option<Rules> {
        self.rules.filter(|rules| rules.kinds.contains(kind) && concerns(channel))
    }

    /// The first of the cluster has come.
    fn came(&mut self, channel: &ChannelName, user: &str, known: bool) {
        let kind = if user.is_empty() { Kind::ChannelOccupied } else { Kind::MemberAdded };
        if self.needs(kind, channel).is_none() {
            return;
        }
        if let Some(id) = self.ledger.waiting.remove(&(false, subject(channel, user))) {
            self.ledger.records.remove(&id);
        } else if !known {
            self.ready(kind, channel, user, 0);
        }
    }

    /// The last of the cluster has gone.
    fn went(&mut self, channel: &ChannelName, user: &str, forgotten: bool) {
        let kind = if user.is_empty() { Kind::ChannelVacated } else { Kind::MemberRemoved };
        let Some(rules) = self.needs(kind, channel) else { return };
        let key = (false, subject(channel, user));
        if !self.ledger.waiting.contains_key(&key) {
            let pause = if forgotten { rules.grace.max(FORGOTTEN_PAUSE) } else { rules.grace };
            let id = self.wait(pause, (kind, channel, user, 0));
            self.ledger.waiting.insert(key, id);
        }
    }

    /// The channel has another number of subscriptions.
    fn counted(&mut self, channel: &ChannelName, total: u64, known: bool) {
        if self.needs(Kind::SubscriptionCount, channel).is_none() || channel.kind().is_presence() {
            return;
        }
        let key = (true, channel.to_string());
        let waiting = self.ledger.waiting.get(&key).copied();
        if known || total > COUNTED_AT_ONCE as u64 {
            if let Some(kept) = waiting.and_then(|id| self.ledger.records.get_mut(&id)) {
                kept.record.count = total;
            } else {
                let what = (Kind::SubscriptionCount, channel, "", total);
                let id = self.wait(COUNT_PAUSE, what);
                self.ledger.waiting.insert(key, id);
            }
            return;
        }
        if let Some(id) = self.ledger.waiting.remove(&key) {
            self.ledger.records.remove(&id);
        }
        self.ready(Kind::SubscriptionCount, channel, "", total);
    }

    fn wait(&mut self, pause: Duration, what: What<'_>) -> u64 {
        self.ledger.add(self.node, State::Waiting, (self.now + pause, self.now), what)
    }

    fn ready(&mut self, kind: Kind, channel: &ChannelName, user: &str, count: u64) {
        let lane = self.ledger.lanes.entry(channel.clone()).or_insert((self.node, 0));
        lane.1 += 1;
        let owner = lane.0;
        self.ledger.add(owner, State::Ready, (self.now, self.now), (kind, channel, user, count));
    }
}

/// Subscriptions and users of a channel.
type HeadCount = (u64, BTreeSet<String>);

impl Meeting {
    pub(super) fn head_count(&self, channel: &ChannelName) -> HeadCount {
        let facts = self.facts.get(channel);
        let users = facts.into_iter().flat_map(|facts| facts.members.keys().map(|(_, user)| user.clone()));
        (facts.map_or(0, |facts| facts.subscriptions.values().sum()), users.collect())
    }

    /// A telling was taken; `before` is how things stood.
    pub(super) fn decide(&mut self, index: usize, telling: &Telling, before: &HeadCount) {
        let channel = &telling.channel;
        let after = self.head_count(channel);
        let relied = &mut self.nodes[index].relied;
        let forgot = relied.get(channel).is_some_and(|epoch| *epoch != self.ledger.epoch);
        if telling.subscriptions > 0 {
            relied.insert(channel.clone(), self.ledger.epoch);
        } else {
            relied.remove(channel);
        }
        let is_known = |user: &str| telling.users.iter().any(|claim| claim.known && claim.user_id == user);
        let taken_back = telling.users.iter().filter(|claim| claim.known && claim.member.is_none() && forgot);
        let unheard_of = |user: &&str| !before.1.contains(*user) && !after.1.contains(*user);
        let mut deciding = self.deciding(index, telling.node);
        if before.0 == 0 && after.0 > 0 {
            deciding.came(channel, "", telling.known && forgot);
        }
        if before.0 != after.0 {
            deciding.counted(channel, after.0, forgot);
        }
        after.1.difference(&before.1).for_each(|user| deciding.came(channel, user, is_known(user) && forgot));
        before.1.difference(&after.1).for_each(|user| deciding.went(channel, user, false));
        taken_back
            .map(|claim| &*claim.user_id)
            .filter(unheard_of)
            .for_each(|user| deciding.went(channel, user, true));
        if after.0 == 0 && (before.0 > 0 || (telling.known && forgot)) {
            deciding.went(channel, "", before.0 == 0);
        }
        self.wake(index, Partition::of(channel));
    }

    /// A node is about to be taken out of a partition: what follows is its own, until it is taken over.
    pub(super) fn decide_death(&mut self, index: usize, node: Origin, partition: Partition) {
        let here: Vec<_> =
            self.facts.keys().filter(|name| Partition::of(name) == partition).cloned().collect();
        for channel in here {
            let facts = &self.facts[&channel];
            let count = facts.subscriptions.get(&node).copied().unwrap_or(0);
            let total: u64 = facts.subscriptions.values().sum();
            let is_elsewhere = |user: &str| facts.members.keys().any(|(of, id)| *of != node && id == user);
            let own = facts.members.keys().filter(|(of, user)| *of == node && !is_elsewhere(user));
            let gone: Vec<_> = own.map(|(_, user)| user.clone()).collect();
            let mut deciding = self.deciding(index, node);
            gone.iter().for_each(|user| deciding.went(&channel, user, false));
            if count > 0 {
                deciding.counted(&channel, total - count, false);
            }
            if count > 0 && total == count {
                deciding.went(&channel, "", false);
            }
        }
    }

    fn deciding(&mut self, index: usize, node: Origin) -> Deciding<'_> {
        let (rules, now) = (self.nodes[index].rules, self.clock.now());
        Deciding { ledger: &mut self.ledger, rules, node, now }
    }

    /// Says when there is something; a look too many does no harm.
    fn wake(&mut self, index: usize, partition: Partition) {
        if self.nodes[index].rules.is_some() {
            self.nodes[index].tell(Notice::Webhooks { partition, pause: Duration::ZERO });
        }
    }
}

impl Ledger {
    /// Everything is forgotten.
    pub(super) fn forget(&mut self) {
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
    }

    fn add(
        &mut self,
        owner: Origin,
        state: State,
        (due, now): (Duration, Duration),
        (kind, channel, user, count): What<'_>,
    ) -> u64 {
        self.newest = micros(now).max(self.newest + 1);
        let place = Place { time: self.newest.max(micros(due)), id: self.newest };
        let record = Record {
            place,
            kind,
            channel: channel.clone(),
            user: user.to_owned(),
            count,
            taken_by: Vec::new(),
        };
        self.records.insert(place.id, Kept { owner, state, record });
        place.id
    }

    fn of(&mut self, node: Origin, partition: Partition) -> impl Iterator<Item = &mut Kept> {
        self.records
            .values_mut()
            .filter(move |kept| kept.owner == node && kept.record.partition() == partition)
    }

    /// What has become due is nobody's to take back any more.
    fn release(&mut self, node: Origin, partition: Partition, now: Duration) {
        let waiting = self.of(node, partition).filter(|kept| kept.state == State::Waiting);
        let due: Vec<u64> = waiting
            .filter(|kept| kept.record.place.time <= micros(now))
            .map(|kept| kept.record.place.id)
            .collect();
        for id in due {
            self.waiting.retain(|_, noted| *noted != id);
            if let Some(kept) = self.records.get_mut(&id) {
                let lane = self.lanes.entry(kept.record.channel.clone()).or_insert((node, 0));
                lane.1 += 1;
                (kept.owner, kept.state) = (lane.0, State::Ready);
            }
        }
    }

    fn take(&mut self, node: Origin, partition: Partition, now: Duration) -> Taken {
        self.release(node, partition, now);
        let ready = self.of(node, partition).filter(|kept| kept.state == State::Ready).take(AT_ONCE);
        let hand = |kept: &mut Kept| {
            kept.state = State::Handed;
            kept.record.clone()
        };
        let records = ready.map(hand).collect();
        Taken { records, next: self.next(node, partition, now), lost: 0 }
    }

    fn next(&mut self, node: Origin, partition: Partition, now: Duration) -> Option<Duration> {
        let open = self.of(node, partition).filter(|kept| kept.state != State::Handed);
        let pause = |kept: &mut Kept| match kept.state {
            State::Ready => Duration::ZERO,
            _ => Duration::from_micros(kept.record.place.time.saturating_sub(micros(now))),
        };
        open.map(pause).min()
    }

    fn settle(&mut self, settled: &[Settled]) {
        for Settled { place, endpoint } in settled {
            let Some(kept) = self.records.get_mut(&place.id) else { continue };
            if let Some(endpoint) = endpoint {
                kept.record.taken_by.push(endpoint.clone());
                continue;
            }
            let channel = kept.record.channel.clone();
            self.records.remove(&place.id);
            if let Some(lane) = self.lanes.get_mut(&channel) {
                lane.1 -= 1;
            }
            self.lanes.retain(|_, lane| lane.1 > 0);
        }
    }

    fn adopt(&mut self, dead: Origin, heir: Origin, partition: Partition) -> u64 {
        let mut given = 0;
        for kept in self.of(dead, partition) {
            kept.owner = heir;
            if kept.state == State::Ready {
                kept.state = State::Handed;
            }
            given += 1;
        }
        for (channel, lane) in &mut self.lanes {
            if lane.0 == dead && Partition::of(channel) == partition {
                lane.0 = heir;
            }
        }
        let all = std::mem::take(&mut self.batches);
        for ((node, at, delivery), parcel) in all {
            let is_left = node == dead && at == partition;
            given += u64::from(is_left);
            self.batches.insert((if is_left { heir } else { node }, at, delivery), parcel);
        }
        given
    }
}

impl MemoryEngine {
    /// Does something with the ledger, unless the node was declared dead.
    fn alive<'a, T: Send + 'a>(
        &self,
        node: Origin,
        act: impl FnOnce(&mut Ledger, Duration) -> T,
    ) -> BoxFuture<'a, Result<Result<T, Dead>, EngineError>> {
        self.with(
            |Meeting { ledger, dead, clock, .. }| {
                if dead.contains(&node) { Err(Dead) } else { Ok(act(ledger, clock.now())) }
            },
        )
    }
}

impl Webhooks for MemoryEngine {
    fn decide(&self, rules: Rules) {
        self.meeting.lock().nodes[self.index].rules = Some(rules);
    }

    fn take(&self, node: Origin, partition: Partition) -> Answer<'_, Result<Taken, Dead>> {
        self.alive(node, |ledger, now| ledger.take(node, partition, now))
    }

    fn handed(&self, node: Origin, partition: Partition, after: Option<Place>) -> Answer<'_, Vec<Record>> {
        self.with(|Meeting { ledger, .. }| {
            let handed = ledger.of(node, partition).filter(|kept| kept.state == State::Handed);
            let mut records: Vec<_> = handed.map(|kept| kept.record.clone()).collect();
            records.retain(|record| after.is_none_or(|after| record.place > after));
            records.sort_by_key(|record| record.place);
            records.truncate(AT_ONCE);
            records
        })
    }

    fn settle<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        settled: &'a [Settled],
    ) -> Answer<'a, Result<Option<Duration>, Dead>> {
        self.alive(node, |ledger, now| {
            ledger.settle(settled);
            ledger.next(node, partition, now)
        })
    }

    fn keep<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        delivery: &'a str,
        parcel: &'a Parcel,
    ) -> Answer<'a, Result<(), Dead>> {
        let key = (node, partition, delivery.to_owned());
        self.alive(node, |ledger, _| drop(ledger.batches.insert(key, parcel.clone())))
    }

    fn drop_kept<'a>(&'a self, node: Origin, partition: Partition, delivery: &'a str) -> Answer<'a, ()> {
        self.with(|meeting| drop(meeting.ledger.batches.remove(&(node, partition, delivery.to_owned()))))
    }

    fn kept(&self, node: Origin, partition: Partition) -> Answer<'_, Vec<(String, Parcel)>> {
        self.with(|meeting| {
            let all = meeting.ledger.batches.iter();
            let own = all.filter(|((of, at, _), _)| *of == node && *at == partition);
            own.map(|((.., delivery), parcel)| (delivery.clone(), parcel.clone())).collect()
        })
    }

    fn successor(&self, dead: Origin, candidate: Origin, not: Option<Origin>) -> Answer<'_, Origin> {
        self.with(|meeting| {
            let successor = meeting.ledger.successors.entry(dead).or_insert(candidate);
            if not == Some(*successor) {
                *successor = candidate;
            }
            *successor
        })
    }

    fn adopt(&self, dead: Origin, successor: Origin, partition: Partition) -> Answer<'_, Result<u64, Dead>> {
        self.alive(successor, |ledger, _| ledger.adopt(dead, successor, partition))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
