//! Orders what other nodes publish and hands it on: the only owner of the inboxes.

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

use super::{Change, Shared};
use crate::engine::{EngineError, Notice, Notices};
use crate::entry::Entry;
use crate::inbox::{Inbox, Page, Position, Step};

/// Rest before a log is read again that could not be read.
const REST: Duration = Duration::from_millis(200);

type Read = (ChannelName, Result<Page, EngineError>);

/// Goes on until the engine or the holding task ends.
pub(super) async fn run(shared: Arc<Shared>, mut notices: Notices, mut changes: mpsc::Receiver<Change>) {
    let mut hearing = Hearing { shared, inboxes: HashMap::new(), reads: FuturesUnordered::new() };
    loop {
        tokio::select! {
            // What is held is learned before what comes by it.
            biased;
            change = changes.recv() => match change {
                Some(change) => hearing.on_change(change),
                None => return,
            },
            Some((channel, page)) = hearing.reads.next() => hearing.on_page(&channel, page),
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
}

impl Hearing {
    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Up => {
                self.shared.linked.store(true, Ordering::Release);
                self.shared.to_hold.notify_one();
                self.shared.to_tell.notify_one();
                self.shared.life.on_up();
            }
            Notice::Down => {
                self.shared.linked.store(false, Ordering::Release);
                self.shared.life.on_down();
                self.shared.interest.lock().unlinked();
                let held = &self.shared.interest;
                self.inboxes.retain(|channel, _| held.lock().is_needed(channel));
            }
            Notice::Entry { channel, at, entry } => self.on_entry(&channel, at, entry),
            // Presence of several nodes is not put together yet; see `crate::replica`.
            Notice::Delta { .. } => {}
        }
    }

    fn on_change(&mut self, change: Change) {
        match change {
            Change::Held(channels) => {
                for channel in channels {
                    let own = self.shared.origin;
                    let step = self
                        .inboxes
                        .entry(channel.clone())
                        .or_insert_with(|| Inbox::new(own))
                        .on_subscribed();
                    self.carry_out(&channel, step);
                }
            }
            Change::LetGo(channels) => channels.iter().for_each(|channel| drop(self.inboxes.remove(channel))),
            Change::Settled => {}
        }
    }

    fn on_entry(&mut self, channel: &ChannelName, at: Position, entry: Entry) {
        let own = self.shared.origin;
        let inbox = self.inboxes.entry(channel.clone()).or_insert_with(|| Inbox::new(own));
        let step = inbox.on_message(at, entry);
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
                let (shared, channel, after) = (self.shared.clone(), channel.clone(), inbox.known());
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
        for heard in step.deliver {
            let late = heard.from_log.then_some(heard.entry.published_ms);
            self.count(heard.entry.events.len() as u64, heard.from_log);
            for event in heard.entry.events {
                self.shared.listener.deliver(channel, event, late);
            }
        }
        if step.lost > 0 {
            self.shared.losses.heard.fetch_add(step.lost, Ordering::Relaxed);
            tracing::warn!(%channel, entries = step.lost, "lost: the log does not go back that far");
        }
        if let Some(after) = step.read {
            self.reads.push(Box::pin(read(self.shared.clone(), channel.clone(), after)));
        }
    }
}

async fn read(shared: Arc<Shared>, channel: ChannelName, after: Option<Position>) -> Read {
    let page = shared.engine.page(&channel, after).await;
    (channel, page)
}
