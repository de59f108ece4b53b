//! Orders what other nodes publish and what they say of their clients, and hands it on: the only owner of the inboxes, and
//! the only one who changes what is known of the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use gema_protocol::channel::ChannelName;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::others::Other;
use super::{Change, Shared};
use crate::engine::{EngineError, Notice, Notices};
use crate::entry::{Entry, Published};
use crate::inbox::{Heard, Inbox, Page, Position, Step};
use crate::replica::{Delta, Followed, Snapshot};

/// Rest before a log is read again that could not be read.
const REST: Duration = Duration::from_millis(200);
/// An event that is older than this is late: its origin was cut off, and there may be subscriptions younger than it.
const LATE_MS: u64 = 1_000;
/// How far the clocks of two nodes may be apart beyond what they know of Redis' clock: one may just have been set.
const CLOCKS_APART_MS: u64 = 20;

type Read = (ChannelName, Result<Page, EngineError>);
/// With the number under which it was asked for.
type Look = (ChannelName, u64, Result<Snapshot, EngineError>);

/// Goes on until the engine or the holding task ends.
pub(super) async fn run(shared: Arc<Shared>, mut notices: Notices, mut changes: mpsc::Receiver<Change>) {
    let (reads, looks) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut hearing = Hearing { shared, inboxes: HashMap::new(), reads, looks };
    loop {
        tokio::select! {
            // What is held is learned before what comes by it.
            biased;
            change = changes.recv() => match change {
                Some(change) => hearing.on_change(change),
                None => return,
            },
            Some((channel, page)) = hearing.reads.next() => hearing.on_page(&channel, page),
            Some(look) = hearing.looks.next() => hearing.on_snapshot(look),
            notice = notices.recv() => match notice {
                Some(notice) => hearing.on_notice(notice),
                None => return,
            },
        }
    }
}

struct Hearing {
    shared: Arc<Shared>,
    inboxes: HashMap<ChannelName, Inbox>,
    reads: FuturesUnordered<BoxFuture<'static, Read>>,
    looks: FuturesUnordered<BoxFuture<'static, Look>>,
}

impl Hearing {
    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Up => self.on_link(),
            Notice::Down => self.on_loss(),
            Notice::Lost => {
                self.shared.truth.lock().tell_everything(self.shared.now());
                self.shared.to_claim.notify_one();
            }
            Notice::Webhooks { partition, pause } => self.shared.agenda.look(partition, pause),
            Notice::Entry { channel, at, entry } => self.on_entry(&channel, at, entry),
            Notice::Delta { channel, delta } => self.on_delta(&channel, delta),
        }
    }

    fn on_link(&mut self) {
        self.shared.truth.lock().tell_everything(self.shared.now());
        self.shared.outgoing.lock().relinked();
        self.shared.linked.store(true, Ordering::Release);
        self.shared.to_hold.notify_one();
        self.shared.to_tell.notify_one();
        self.shared.life.on_up();
        self.shared.agenda.look_again();
    }

    fn on_loss(&mut self) {
        self.shared.life.on_down();
        self.shared.linked.store(false, Ordering::Release);
        let interest = &self.shared.interest;
        interest.lock().unlinked();
        self.inboxes.retain(|channel, _| interest.lock().is_needed(channel));
        self.shared.others.retain(|channel| interest.lock().is_needed(channel));
        for (_, other) in self.shared.others.all() {
            other.lock().unlinked();
        }
    }

    fn on_change(&mut self, change: Change) {
        match change {
            Change::Held(channels) => {
                for channel in channels {
                    self.look(&channel, &mut self.shared.others.of(&channel).lock());
                    let step = self.inbox(&channel).on_subscribed();
                    self.carry_out(&channel, step);
                }
            }
            Change::LetGo(channels) => {
                channels.iter().for_each(|channel| drop(self.inboxes.remove(channel)));
                let interest = &self.shared.interest;
                self.shared.others.let_go(&channels, |channel| interest.lock().is_needed(channel));
            }
            Change::Settled => self.settle(),
        }
    }

    fn inbox(&mut self, channel: &ChannelName) -> &mut Inbox {
        let own = self.shared.origin;
        self.inboxes.entry(channel.clone()).or_insert_with(|| Inbox::new(own))
    }

    /// Asks what all nodes say of a channel.
    fn look(&self, channel: &ChannelName, other: &mut Other) {
        other.replica.on_subscribed();
        self.ask(channel, other, Duration::ZERO);
    }

    fn ask(&self, channel: &ChannelName, other: &mut Other, rest: Duration) {
        other.asked += 1;
        let (shared, channel, number) = (self.shared.clone(), channel.clone(), other.asked);
        self.looks.push(Box::pin(async move {
            if !rest.is_zero() {
                sleep(rest).await;
            }
            let snapshot = shared.engine.snapshot(&channel).await;
            (channel, number, snapshot)
        }));
    }

    fn on_delta(&self, channel: &ChannelName, delta: Delta) {
        let Some(other) = self.shared.others.get(channel) else { return };
        self.learn(channel, &mut other.lock(), |other| other.replica.on_delta(delta));
    }

    fn on_snapshot(&self, (channel, number, snapshot): Look) {
        let Some(other) = self.shared.others.get(&channel) else { return };
        let mut other = other.lock();
        if number != other.asked {
            return;
        }
        match snapshot {
            Ok(snapshot) => {
                self.check_own(&channel, &snapshot);
                let absence = self.shared.absence();
                self.learn(&channel, &mut other, |other| other.replica.on_snapshot(snapshot, absence));
            }
            Err(_) if self.shared.is_linked() => self.ask(&channel, &mut other, REST),
            Err(_) => other.replica.on_failure(),
        }
    }

    /// A memory that came back may name users whom this node has no more; one that somebody else has written over may have
    /// lost those that it has.
    fn check_own(&self, channel: &ChannelName, snapshot: &Snapshot) {
        let node = self.shared.identity.current();
        let own = snapshot.facts.iter().filter(|fact| fact.node == node);
        let mut truth = self.shared.truth.lock();
        truth.is_said(channel, own.map(|fact| fact.user_id.as_str()), self.shared.now());
        if !snapshot.counts.iter().any(|(of, _)| *of == node) {
            truth.is_not_said(channel, self.shared.now());
        }
        self.shared.to_claim.notify_one();
    }

    /// Tells the listener what has changed, before anybody else can look.
    fn learn(&self, channel: &ChannelName, other: &mut Other, change: impl FnOnce(&mut Other) -> Followed) {
        let before = other.replica.subscriptions();
        let followed = change(other);
        if !followed.changes.is_empty() {
            self.shared.listener.members(channel, followed.changes);
        }
        let after = other.replica.subscriptions();
        if after != before {
            self.shared.listener.count(channel, after);
        }
        // Something was missed; what has come since is held.
        if followed.read_snapshot {
            self.ask(channel, other, Duration::ZERO);
        }
        other.wake();
    }

    /// The others have had the time to tell everything: whoever is still missing has left.
    fn settle(&self) {
        for (channel, other) in self.shared.others.all() {
            let mut other = other.lock();
            if other.replica.is_doubtful() {
                self.look(&channel, &mut other);
            }
        }
    }

    fn on_entry(&mut self, channel: &ChannelName, at: Position, entry: Entry) {
        let step = self.inbox(channel).on_message(at, entry);
        self.carry_out(channel, step);
    }

    fn on_page(&mut self, channel: &ChannelName, page: Result<Page, EngineError>) {
        let Some(inbox) = self.inboxes.get_mut(channel) else { return };
        match page {
            Ok(page) => {
                let step = inbox.on_page(page);
                self.carry_out(channel, step);
            }
            // Redis is slow, or did not answer sense: what comes live waits until the log has been read.
            Err(_) if self.shared.is_linked() => {
                let (shared, channel, after) = (self.shared.clone(), channel.clone(), inbox.from());
                self.reads.push(Box::pin(async move {
                    sleep(REST).await;
                    read(shared, channel, after).await
                }));
            }
            // The link is made anew, and then the topic is confirmed anew.
            Err(_) => inbox.on_failure(),
        }
    }

    fn count(&self, events: u64, from_log: bool) {
        let flow = &self.shared.flow;
        flow.heard.fetch_add(events, Ordering::Relaxed);
        if from_log {
            flow.replayed.fetch_add(events, Ordering::Relaxed);
        }
    }

    fn carry_out(&mut self, channel: &ChannelName, step: Step) {
        let now_ms = self.shared.engine.now_ms();
        for heard in step.deliver {
            if heard.own {
                self.keep(channel, &heard.entry);
            } else {
                self.deliver(channel, heard, now_ms);
            }
        }
        if step.lost > 0 {
            self.shared.losses.heard.fetch_add(step.lost, Ordering::Relaxed);
            tracing::warn!(%channel, events = step.lost, "lost: the log does not go back that far");
        }
        if let Some(after) = step.read {
            self.reads.push(Box::pin(read(self.shared.clone(), channel.clone(), after)));
        }
    }

    fn deliver(&self, channel: &ChannelName, heard: Heard, now_ms: u64) {
        self.count(heard.entry.events.len() as u64, heard.from_log);
        for Published { at_ms, event } in heard.entry.events {
            let is_late = heard.from_log || now_ms.saturating_sub(at_ms) > LATE_MS;
            let late = is_late.then_some(at_ms.saturating_add(CLOCKS_APART_MS));
            self.shared.listener.deliver(channel, event, late);
        }
    }

    /// The log decides which event of a cache channel is the last. This node kept its own at once, and then perhaps one of
    /// another node that comes before it in the log.
    fn keep(&self, channel: &ChannelName, entry: &Entry) {
        let Some(last) = entry.events.iter().rfind(|one| one.event.keep) else { return };
        if self.shared.outgoing.lock().has_newer(channel, entry.sequence) {
            return;
        }
        let age = Duration::from_millis(self.shared.engine.now_ms().saturating_sub(last.at_ms));
        let left = self.shared.listener.cache_ttl().saturating_sub(age);
        if let Ok(text) = str::from_utf8(&last.event.text) {
            self.shared.listener.keep(channel, text, left);
        }
    }
}

async fn read(shared: Arc<Shared>, channel: ChannelName, after: Option<Position>) -> Read {
    let page = shared.engine.page(&channel, after).await;
    (channel, page)
}
