//! What a node believes of the others' members of one presence channel: told, not asked.
//!
//! Each node writes facts about its own clients; the place where nodes meet orders the changes and numbers the states.
//! A replica follows change by change. Whatever does not follow, or comes after a cut, is replaced by a snapshot. Clients
//! are told the difference between two states of their own node's replica, so nobody hears of a user twice, however the
//! nodes came to agree. About itself a node believes only its own memory: its own facts are left out here. Pure.

use std::collections::BTreeMap;

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
    /// A node that was declared dead: whatever it said of the channel is void.
    pub gone: Option<Origin>,
}

/// All facts of a state; each has a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub version: Version,
    /// In no order.
    pub facts: Vec<Fact>,
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
        Self { own, version: None, facts: BTreeMap::new(), reading: false, held: Vec::new(), doubtful: false }
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
            if self.held.len() < MOST_HELD {
                self.held.push(delta);
            }
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
        let gone: Vec<_> = self.facts.keys().filter(|(_, of)| *of == node).cloned().collect();
        gone.into_iter()
            .map(|key| {
                self.facts.remove(&key);
                Change::Exit(key.0)
            })
            .collect()
    }

    fn apply(&mut self, delta: Delta, changes: &mut Vec<Change>) {
        self.version = Some(delta.version);
        changes.extend(delta.gone.into_iter().flat_map(|node| self.on_death(node)));
        changes.extend(delta.facts.into_iter().filter_map(|fact| self.learn(fact)));
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
        let facts = snapshot.facts.into_iter().filter(|fact| !self.own.is_own(fact.node));
        let new: BTreeMap<_, _> =
            facts.filter_map(|fact| Some(((fact.user_id, fact.node), fact.member?))).collect();
        let mut old = std::mem::replace(&mut self.facts, new);
        let entered = self.facts.iter().filter(|(key, _)| !old.contains_key(*key));
        let mut changes: Vec<_> =
            entered.map(|(key, member)| Change::Enter(key.0.clone(), member.clone())).collect();
        old.retain(|key, _| !self.facts.contains_key(key));
        self.doubtful = absence == Absence::Doubtful && !old.is_empty();
        if self.doubtful {
            self.facts.append(&mut old);
        }
        changes.extend(old.into_keys().map(|key| Change::Exit(key.0)));
        changes
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
