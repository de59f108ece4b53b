//! What a node believes of the others' members and subscriptions of one channel: told, not asked.
//!
//! Each node writes facts about its own clients; the place where nodes meet orders the changes and numbers the states.
//! A replica follows change by change. Whatever does not follow, or comes after a cut, is replaced by a snapshot. Clients
//! are told the difference between two states of their own node's replica, so nobody hears of a user twice, however the
//! nodes came to agree. About itself a node believes only its own memory: its own facts are left out here. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::entry::Origin;
use crate::identity::Identity;

/// A state of the channel's facts. States are numbered upwards, with holes.
pub type Version = u64;

/// One fact: a node has, or has no more, connections of this user in the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Whose clients these are.
    pub node: Origin,
    /// The user's id as text.
    pub user_id: String,
    /// The member as the app signed it (JSON); `None`: the last connection is gone.
    pub member: Option<Bytes>,
}

/// Facts that changed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The state before.
    pub follows: Version,
    /// The state after.
    pub version: Version,
    /// What changed.
    pub facts: Vec<Fact>,
    /// A node, and how many of its connections subscribe now.
    pub count: Option<(Origin, u64)>,
    /// A node whose earlier words are void: `facts` holds all that it claims, which is nothing once it was declared dead.
    pub gone: Option<Origin>,
}

/// All facts of a state; each has a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub version: Version,
    /// In no order.
    pub facts: Vec<Fact>,
    /// How many connections of each node subscribe.
    pub counts: Vec<(Origin, u64)>,
}

/// What it means that a fact is missing from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The user has left.
    Leaving,
    /// Nobody knows: the place may have lost its memory, and the others have not told it again yet. Such members stay, until
    /// they leave expressly or a snapshot lacks them at a time when absence means leaving.
    Doubtful,
}

/// What changes for the node's own clients, if no client of the node is that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node more has the user. The member as JSON.
    Enter(String, Bytes),
    /// A node less has the user.
    Exit(String),
}

/// What to do after something was heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Apply these, in order.
    pub changes: Vec<Change>,
    /// Read a snapshot, and bring it: what was heard follows a state that is not held.
    pub read_snapshot: bool,
}

/// The others' facts about one channel.
#[derive(Debug)]
pub struct Replica {
    own: Identity,
    /// `None` before the first snapshot and after a cut.
    version: Option<Version>,
    facts: BTreeMap<(String, Origin), Bytes>,
    counts: BTreeMap<Origin, u64>,
    /// How many there were before a memory that may be new was read.
    least: u64,
    /// A snapshot has been asked for.
    reading: bool,
    /// Deltas that came while it is read.
    held: Vec<Delta>,
    /// Some facts were not in the last snapshot.
    doubtful: bool,
}

/// Most deltas held for a snapshot.
const MOST_HELD: usize = 256;

impl Replica {
    /// Knows of nobody. `own`: the ids of this node; it believes no fact about them.
    #[must_use]
    pub fn new(own: Identity) -> Self {
        let (facts, counts, held) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { own, version: None, facts, counts, least: 0, reading: false, held, doubtful: false }
    }

    /// The state that is held; `None` while it is not known whether what is held is the newest.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The others' members: a user's id and the member as JSON, once for each node that has the user.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.facts.iter().map(|((user, _), member)| (user.as_str(), member))
    }

    /// How many connections of the other nodes subscribe; while members may be missing, not less than before.
    #[must_use]
    pub fn subscriptions(&self) -> u64 {
        self.counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count)).max(self.least)
    }

    /// The topic is confirmed, for the first time or again: a snapshot must be read.
    pub fn on_subscribed(&mut self) {
        self.version = None;
        self.reading = true;
        self.held.clear();
    }

    /// Changes, as they are told.
    pub fn on_delta(&mut self, delta: Delta) -> Followed {
        let mut followed = Followed::default();
        if self.reading {
            // With more than this a newer snapshot is cheaper.
            if self.held.len() >= MOST_HELD {
                self.held.clear();
                followed.read_snapshot = true;
            }
            self.held.push(delta);
            return followed;
        }
        match self.version {
            Some(version) if delta.version <= version => {}
            Some(version) if delta.follows == version => self.apply(delta, &mut followed.changes),
            _ => {
                self.on_subscribed();
                self.held.push(delta);
                followed.read_snapshot = true;
            }
        }
        followed
    }

    /// A snapshot, adopted even if it is older than what is held: the place may have lost its memory.
    pub fn on_snapshot(&mut self, snapshot: Snapshot, absence: Absence) -> Followed {
        self.reading = false;
        let mut followed = Followed { changes: self.adopt(snapshot, absence), read_snapshot: false };
        for delta in std::mem::take(&mut self.held) {
            let next = self.on_delta(delta);
            followed.changes.extend(next.changes);
            followed.read_snapshot |= next.read_snapshot;
        }
        followed
    }

    /// The snapshot could not be read; the owner comes back with [`Replica::on_subscribed`] when its link stands again.
    pub fn on_failure(&mut self) {
        self.reading = false;
        self.version = None;
    }

    /// Are there members who may have left? Once absence means leaving, [`Replica::on_subscribed`] and another snapshot tell.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// A node was declared dead, or took its facts back: nothing of it is believed any more.
    pub fn on_death(&mut self, node: Origin) -> Vec<Change> {
        self.counts.remove(&node);
        self.forget(node, &BTreeSet::new())
    }

    /// Forgets whom a node has, but for these users.
    fn forget(&mut self, node: Origin, claimed: &BTreeSet<String>) -> Vec<Change> {
        let of_node = self.facts.keys().filter(|(user, of)| *of == node && !claimed.contains(user));
        let gone: Vec<_> = of_node.cloned().collect();
        gone.into_iter()
            .map(|key| {
                self.facts.remove(&key);
                Change::Exit(key.0)
            })
            .collect()
    }

    fn apply(&mut self, delta: Delta, changes: &mut Vec<Change>) {
        self.version = Some(delta.version);
        if let Some(node) = delta.gone {
            self.counts.remove(&node);
            let claimed = delta.facts.iter().map(|fact| fact.user_id.clone()).collect();
            changes.extend(self.forget(node, &claimed));
        }
        changes.extend(delta.facts.into_iter().filter_map(|fact| self.learn(fact)));
        match delta.count.filter(|(node, _)| !self.own.is_own(*node)) {
            Some((node, 0)) => drop(self.counts.remove(&node)),
            Some((node, count)) => drop(self.counts.insert(node, count)),
            None => {}
        }
    }

    fn learn(&mut self, fact: Fact) -> Option<Change> {
        if self.own.is_own(fact.node) {
            return None;
        }
        let key = (fact.user_id, fact.node);
        match fact.member {
            Some(member) => {
                let known = self.facts.insert(key.clone(), member.clone()).is_some();
                (!known).then_some(Change::Enter(key.0, member))
            }
            None => self.facts.remove(&key).map(|_| Change::Exit(key.0)),
        }
    }

    /// Newcomers first: a user who only moves between nodes is never away in between.
    fn adopt(&mut self, snapshot: Snapshot, absence: Absence) -> Vec<Change> {
        self.version = Some(snapshot.version);
        let before = self.subscriptions();
        let counts = snapshot.counts.into_iter().filter(|(node, _)| !self.own.is_own(*node)).collect();
        let old_counts = std::mem::replace(&mut self.counts, counts);
        let facts = snapshot.facts.into_iter().filter(|fact| !self.own.is_own(fact.node));
        let new: BTreeMap<_, _> =
            facts.filter_map(|fact| Some(((fact.user_id, fact.node), fact.member?))).collect();
        let mut old = std::mem::replace(&mut self.facts, new);
        let entered = self.facts.iter().filter(|(key, _)| !old.contains_key(*key));
        let mut changes: Vec<_> =
            entered.map(|(key, member)| Change::Enter(key.0.clone(), member.clone())).collect();
        old.retain(|key, _| !self.facts.contains_key(key));
        let is_less = !old.is_empty() || old_counts.keys().any(|node| !self.counts.contains_key(node));
        self.doubtful = absence == Absence::Doubtful && is_less;
        self.least = 0;
        if self.doubtful {
            self.facts.append(&mut old);
            self.least = before;
        }
        changes.extend(old.into_keys().map(|key| Change::Exit(key.0)));
        changes
    }
}

#[cfg(test)]
mod tests;
