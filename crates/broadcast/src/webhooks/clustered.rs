//! Webhooks of an app with several nodes: decided once for all of them, and kept in Redis until they are taken.
//!
//! The cluster hands this node records ([`gema_cluster::node::hooks`]). Each gets a ticket, goes into the queues of the
//! endpoints that want it, and is settled once all of these have taken it or given it up ([`super::in_hand`]). A batch is
//! kept before it is sent for the first time; those that a dead node has begun are sent as they were kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gema_cluster::entry::Origin;
use gema_cluster::name::Partition;
use gema_cluster::node::hooks::{Hooks, Job, News};
use gema_cluster::webhook::{Parcel, Record};
use gema_protocol::presence::UserId;
use gema_protocol::webhook::Kind;
use gema_protocol::webhook::backlog::Batch;
use gema_protocol::webhook::event::Event;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::endpoint::Endpoint;
use super::in_hand::InHand;
use super::post::{Request, now_ms};

/// Rest before a batch is given to Redis again.
const REST: Duration = Duration::from_millis(200);

/// An app's webhooks among the nodes.
pub(super) struct Clustered {
    hooks: Hooks,
    in_hand: Mutex<InHand>,
}

/// Whether a batch may be sent.
pub(super) enum Kept {
    /// It is kept, there.
    Yes(Request, Partition),
    /// Another node tells all of it: this one was taken for dead.
    ByAnother,
    /// Redis did not take it in time, or perhaps it did without our knowing.
    No(Option<(Request, Partition)>),
}

/// A request that is to be kept there.
struct Made {
    events: Vec<Event>,
    request: Request,
    partition: Partition,
}

impl Clustered {
    pub(super) fn new(hooks: Hooks) -> Self {
        Self { hooks, in_hand: Mutex::default() }
    }

    /// Takes in what the cluster says. How many events are lost because their endpoint is not known here.
    pub(super) fn receive(&self, news: &News, endpoints: &[Arc<Endpoint>]) -> usize {
        if let Some(job) = &news.confirmed {
            self.in_hand.lock().forget(job);
        }
        for (former, successor) in &news.inherited {
            self.in_hand.lock().inherit(*former, *successor, self.hooks.is_own(*successor));
        }
        let offers: Vec<_> =
            news.records.iter().filter_map(|record| self.take(news.node, record, endpoints)).collect();
        let (mut covered, mut lost) = (HashSet::new(), 0);
        for (delivery, parcel) in &news.parcels {
            let endpoint = endpoints.iter().find(|endpoint| endpoint.name() == parcel.endpoint);
            covered.extend(parcel.events.iter().map(|(channel, place)| (&*parcel.endpoint, channel, *place)));
            // Before anything else is offered: its channels are busy.
            if self.in_hand.lock().begin(delivery) && !self.resume(news.node, endpoint, delivery, parcel) {
                lost += parcel.events.len();
            }
        }
        for (record, event, open) in offers {
            let is_left = |endpoint: &&Arc<Endpoint>| {
                !covered.contains(&(endpoint.name(), &record.channel, Some(record.place)))
            };
            for endpoint in open.into_iter().map(|index| &endpoints[index]).filter(is_left) {
                if !endpoint.offer(&event) {
                    self.done(endpoint, &[event.ticket()], None);
                }
            }
        }
        lost
    }

    /// A ticket for a record that is new here, and the endpoints that still want it.
    fn take<'a>(
        &self,
        node: Origin,
        record: &'a Record,
        endpoints: &[Arc<Endpoint>],
    ) -> Option<(&'a Record, Event, Vec<usize>)> {
        let event = event_of(record);
        let wanted = endpoints.iter().enumerate().filter(|(_, endpoint)| {
            endpoint.wants(&event) && !record.taken_by.iter().any(|name| name == endpoint.name())
        });
        let open: Vec<_> = wanted.map(|(index, _)| index).collect();
        let ticket = self.in_hand.lock().take(node, record, &open)?;
        if open.is_empty() {
            let jobs = self.in_hand.lock().settle(usize::MAX, "", &[ticket]);
            self.finish(jobs, None);
        }
        Some((record, event.with_ticket(ticket), open))
    }

    /// Sends a batch that was begun as it was kept; false when there is no such endpoint.
    fn resume(
        &self,
        node: Origin,
        endpoint: Option<&Arc<Endpoint>>,
        delivery: &str,
        parcel: &Parcel,
    ) -> bool {
        let in_hand = self.in_hand.lock();
        let event = |(channel, place): &(_, Option<_>)| {
            let ticket = place.and_then(|place| in_hand.ticket(node, Partition::of(channel), place));
            Event::of(Kind::ChannelOccupied, channel).with_ticket(ticket.unwrap_or(0))
        };
        let events: Vec<_> = parcel.events.iter().map(event).collect();
        drop(in_hand);
        let partition = home(&events);
        if let Some((endpoint, partition)) = endpoint.zip(partition) {
            endpoint.resume(events, delivery.to_owned(), parcel, partition);
            return true;
        }
        self.finish(Vec::new(), partition.map(|partition| (partition, delivery)));
        false
    }

    /// Keeps a batch. Until `limit` it waits for Redis if need be.
    pub(super) async fn keep(&self, endpoint: &Endpoint, batch: &Batch, limit: Instant) -> Kept {
        let mut made: Option<Made> = None;
        loop {
            let node = self.hooks.node();
            let ours = self.in_hand.lock().still_of(node, |id| self.hooks.is_own(id), batch.events());
            if let Some(events) = ours {
                let Some(partition) = home(&events) else { return Kept::ByAnother };
                // The same request again, unless another node has taken over a part of it.
                let same = made.take().filter(|before| before.events == events);
                let new = || Made { request: endpoint.request(&events), events: events.clone(), partition };
                let now = same.unwrap_or_else(new);
                if self.keep_once(node, endpoint, &now).await {
                    return Kept::Yes(now.request, partition);
                }
                made = Some(now);
            }
            if Instant::now() >= limit {
                return Kept::No(made.map(|made| (made.request, made.partition)));
            }
            sleep(REST).await;
        }
    }

    async fn keep_once(&self, node: Origin, endpoint: &Endpoint, made: &Made) -> bool {
        let delivery = &made.request.delivery;
        self.in_hand.lock().begin(delivery);
        let parcel = self.parcel(endpoint, &made.events, &made.request);
        matches!(self.hooks.keep(node, made.partition, delivery, &parcel).await, Ok(Ok(())))
    }

    fn parcel(&self, endpoint: &Endpoint, events: &[Event], request: &Request) -> Parcel {
        let in_hand = self.in_hand.lock();
        let event = |event: &Event| (event.channel().clone(), in_hand.place(event.ticket()));
        Parcel {
            endpoint: endpoint.name().to_owned(),
            made_ms: now_ms(),
            body: request.body.clone(),
            events: events.iter().map(event).collect(),
        }
    }

    /// An endpoint has taken these, or will get them no more.
    pub(super) fn done(&self, endpoint: &Endpoint, tickets: &[u64], delivery: Option<(Partition, &str)>) {
        let jobs = self.in_hand.lock().settle(endpoint.index(), endpoint.name(), tickets);
        self.finish(jobs, delivery);
    }

    fn finish(&self, mut jobs: Vec<Job>, delivery: Option<(Partition, &str)>) {
        if let Some((partition, delivery)) = delivery {
            let delivery = Some((partition, delivery.to_owned()));
            let node = self.hooks.node();
            jobs.push(Job { node, settled: Vec::new(), delivery, tickets: Vec::new() });
        }
        jobs.into_iter().for_each(|job| self.hooks.finish(job));
    }

    /// Ends when Redis knows of everything that was done; the caller bounds the wait.
    pub(super) async fn finished(&self) {
        self.hooks.finished().await;
    }
}

/// Where a batch is kept.
fn home(events: &[Event]) -> Option<Partition> {
    events.first().map(|event| Partition::of(event.channel()))
}

fn event_of(record: &Record) -> Event {
    match record.kind {
        Kind::MemberAdded | Kind::MemberRemoved => {
            Event::of_member(record.kind, &record.channel, &UserId::from_text(&record.user))
        }
        Kind::SubscriptionCount => {
            Event::subscription_count(&record.channel, usize::try_from(record.count).unwrap_or(usize::MAX))
        }
        Kind::ChannelOccupied | Kind::ChannelVacated | Kind::ClientEvent | Kind::CacheMiss => {
            Event::of(record.kind, &record.channel)
        }
    }
}

#[cfg(test)]
mod tests;
