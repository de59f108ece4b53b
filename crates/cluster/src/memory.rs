//! The place where nodes meet, in memory: for tests of what is built on the seam. It forgets when told to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use gema_protocol::channel::ChannelName;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::engine::{Engine, EngineError, Kept, Notice, Notices};
use crate::entry::{Entry, Origin};
use crate::inbox::{Page, Position};
use crate::outgoing::{Answer, Append};
use crate::replica::{Delta, Fact, Snapshot, Version};
use crate::telling::{Telling, Told};

/// Notices that may wait for a node.
const NOTICES: usize = 65_536;

/// What the nodes of one app share.
#[derive(Clone, Default)]
pub struct Memory {
    meeting: Arc<Mutex<Meeting>>,
}

#[derive(Default)]
struct Meeting {
    epoch: u64,
    logs: HashMap<ChannelName, Vec<Entry>>,
    last_events: HashMap<ChannelName, Kept>,
    facts: HashMap<ChannelName, Facts>,
    /// The last number taken from each node.
    taken: HashMap<Origin, u64>,
    nodes: Vec<Node>,
}

/// What nodes say of one channel.
#[derive(Default)]
struct Facts {
    version: Version,
    members: BTreeMap<(Origin, String), Bytes>,
}

struct Node {
    notices: mpsc::Sender<Notice>,
    held: HashSet<ChannelName>,
    linked: bool,
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
        meeting.nodes.push(Node { notices, held: HashSet::new(), linked: true });
        let index = meeting.nodes.len() - 1;
        meeting.nodes[index].tell(Notice::Up);
        (MemoryEngine { meeting: self.meeting.clone(), index }, receiver)
    }

    /// Forgets everything and breaks every link, as a Redis that starts again without its memory.
    pub fn restart(&self) {
        let mut meeting = self.meeting.lock();
        meeting.epoch += 1;
        meeting.logs.clear();
        meeting.last_events.clear();
        meeting.facts.clear();
        meeting.taken.clear();
        for node in &mut meeting.nodes {
            node.unlink();
            node.link();
        }
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
        let number = self.logs.get(channel).map_or(0, Vec::len) as u64;
        (number > 0).then_some(Position { epoch: self.epoch, number })
    }

    fn append(&mut self, append: &Append, keep: Option<(&str, Duration)>) -> Answer {
        let here = self.newest(&append.channel);
        let behind = |expected: Position| {
            here.is_none_or(|here| here.epoch != expected.epoch || here.number < expected.number)
        };
        if append.expected.is_some_and(behind) {
            return Answer::Behind(here);
        }
        if let Some((text, time)) = keep {
            self.last_events.insert(append.channel.clone(), (text.to_owned(), time));
        }
        let log = self.logs.entry(append.channel.clone()).or_default();
        log.push(append.entry.clone());
        let at = Position { epoch: self.epoch, number: log.len() as u64 };
        for node in self.nodes.iter_mut().filter(|node| node.held.contains(&append.channel)) {
            node.tell(Notice::Entry { channel: append.channel.clone(), at, entry: append.entry.clone() });
        }
        Answer::Appended(at)
    }

    fn tell(&mut self, telling: &Telling) -> Told {
        let taken = self.taken.entry(telling.node).or_default();
        if telling.number <= *taken {
            return Told::Stale;
        }
        *taken = telling.number;
        let facts = self.facts.entry(telling.channel.clone()).or_default();
        let changes = telling.users.iter().filter(|(user, member)| {
            let key = (telling.node, user.clone());
            match member {
                Some(member) => facts.members.insert(key, member.clone()).is_none(),
                None => facts.members.remove(&key).is_some(),
            }
        });
        if changes.count() > 0 {
            facts.version += 1;
            let told = telling.users.iter().map(|(user_id, member)| Fact {
                node: telling.node,
                user_id: user_id.clone(),
                member: member.clone(),
            });
            let delta = Delta {
                follows: facts.version - 1,
                version: facts.version,
                facts: told.collect(),
                gone: None,
            };
            for node in self.nodes.iter_mut().filter(|node| node.held.contains(&telling.channel)) {
                node.tell(Notice::Delta { channel: telling.channel.clone(), delta: delta.clone() });
            }
        }
        Told::Taken(facts.version)
    }

    fn snapshot(&self, channel: &ChannelName) -> Snapshot {
        let Some(facts) = self.facts.get(channel) else { return Snapshot { version: 0, facts: Vec::new() } };
        let fact = |((node, user_id), member): (&(Origin, String), &Bytes)| Fact {
            node: *node,
            user_id: user_id.clone(),
            member: Some(member.clone()),
        };
        Snapshot { version: facts.version, facts: facts.members.iter().map(fact).collect() }
    }

    fn page(&self, channel: &ChannelName, after: Option<Position>) -> Page {
        let newest = self.newest(channel);
        let known = |after: &Position| {
            newest.is_some_and(|newest| newest.epoch == after.epoch && after.number <= newest.number)
        };
        let from = after.filter(known).map_or(0, |after| after.number);
        let numbered = (1..).zip(self.logs.get(channel).into_iter().flatten().cloned());
        Page { newest, entries: numbered.filter(|(number, _)| *number > from).collect() }
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
        self.with(|meeting| meeting.tell(telling))
    }

    fn snapshot<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Snapshot, EngineError>> {
        self.with(|meeting| meeting.snapshot(channel))
    }

    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        self.with(|meeting| meeting.nodes[self.index].held.extend(channels.iter().cloned()))
    }

    fn now_ms(&self) -> u64 {
        UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        self.with(|meeting| meeting.nodes[self.index].held.retain(|held| !channels.contains(held)))
    }
}
