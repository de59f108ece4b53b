//! Which records of the cluster this node has in hand, and which endpoints still have to take each.

use std::collections::{BTreeMap, HashMap, HashSet};

use gema_cluster::entry::Origin;
use gema_cluster::name::Partition;
use gema_cluster::node::hooks::Job;
use gema_cluster::webhook::{Place, Record, Settled};
use gema_protocol::webhook::event::Event;

/// A record where the cluster has it.
type Key = (Origin, Partition, Place);

/// Records by their tickets. What is done stays until the cluster has confirmed that it knows: news that were under way
/// meanwhile may still speak of it.
#[derive(Default)]
pub(super) struct InHand {
    newest: u64,
    records: HashMap<u64, Held>,
    tickets: HashMap<Key, u64>,
    deliveries: HashSet<String>,
}

struct Held {
    key: Key,
    open: Vec<usize>,
}

impl InHand {
    /// A ticket for a record, for these endpoints; `None` when it has one.
    pub(super) fn take(&mut self, node: Origin, record: &Record, open: &[usize]) -> Option<u64> {
        let key = (node, record.partition(), record.place);
        if self.tickets.contains_key(&key) {
            return None;
        }
        self.newest += 1;
        self.tickets.insert(key, self.newest);
        self.records.insert(self.newest, Held { key, open: open.to_vec() });
        Some(self.newest)
    }

    /// False for a batch that is on its way already.
    pub(super) fn begin(&mut self, delivery: &str) -> bool {
        self.deliveries.insert(delivery.to_owned())
    }

    /// The ticket of a record.
    pub(super) fn ticket(&self, node: Origin, partition: Partition, place: Place) -> Option<u64> {
        self.tickets.get(&(node, partition, place)).copied()
    }

    /// Where the record of a ticket stands.
    pub(super) fn place(&self, ticket: u64) -> Option<Place> {
        self.records.get(&ticket).map(|held| held.key.2)
    }

    /// What a former id of the node had is its successor's; unless that is the node itself, nothing is in hand any more.
    pub(super) fn inherit(&mut self, former: Origin, successor: Origin, is_own: bool) {
        for (ticket, held) in self.records.iter_mut().filter(|(_, held)| held.key.0 == former) {
            self.tickets.remove(&held.key);
            held.key.0 = successor;
            if is_own {
                self.tickets.insert(held.key, *ticket);
            }
        }
        self.records.retain(|_, held| is_own || held.key.0 != successor);
    }

    /// The events that the node has to tell under its id of `now`: without those whose record is another's by now. `None`
    /// while it is not known yet whose they are.
    pub(super) fn still_of(
        &self,
        now: Origin,
        is_own: impl Fn(Origin) -> bool,
        events: &[Event],
    ) -> Option<Vec<Event>> {
        let owner = |event: &Event| self.records.get(&event.ticket()).map(|held| held.key.0);
        let is_open = |event: &Event| owner(event).is_some_and(|owner| owner != now && is_own(owner));
        let is_ours = |event: &&Event| event.ticket() == 0 || owner(event) == Some(now);
        (!events.iter().any(is_open)).then(|| events.iter().filter(is_ours).cloned().collect())
    }

    /// An endpoint needs these no more: what the cluster is to be told, per id that the node had.
    pub(super) fn settle(&mut self, endpoint: usize, name: &str, tickets: &[u64]) -> Vec<Job> {
        let mut jobs: BTreeMap<Origin, Job> = BTreeMap::new();
        for ticket in tickets {
            let Some(held) = self.records.get_mut(ticket) else { continue };
            held.open.retain(|open| *open != endpoint);
            let (node, partition, place) = held.key;
            let is_last = held.open.is_empty();
            let new = || Job { node, settled: Vec::new(), delivery: None, tickets: Vec::new() };
            let job = jobs.entry(node).or_insert_with(new);
            job.settled.push((partition, Settled { place, endpoint: (!is_last).then(|| name.to_owned()) }));
            if is_last {
                job.tickets.push(*ticket);
            }
        }
        jobs.into_values().collect()
    }

    /// The cluster knows of a job: nothing that comes from now on speaks of what it was about.
    pub(super) fn forget(&mut self, job: &Job) {
        for ticket in &job.tickets {
            if let Some(held) = self.records.remove(ticket) {
                self.tickets.remove(&held.key);
            }
        }
        if let Some((_, delivery)) = &job.delivery {
            self.deliveries.remove(delivery);
        }
    }
}

#[cfg(test)]
mod tests {
    use gema_protocol::channel::ChannelName;
    use gema_protocol::webhook::Kind;

    use super::*;

    fn record(id: u64) -> Record {
        let channel = ChannelName::parse("c", 200).unwrap();
        let place = Place { time: id, id };
        Record {
            place,
            kind: Kind::ChannelOccupied,
            channel,
            user: String::new(),
            count: 0,
            taken_by: Vec::new(),
        }
    }

    fn outcome(jobs: &[Job]) -> Vec<Option<&str>> {
        jobs.iter().flat_map(|job| &job.settled).map(|(_, settled)| settled.endpoint.as_deref()).collect()
    }

    #[test]
    fn a_record_is_settled_when_every_endpoint_has_it_and_forgotten_when_that_is_known() {
        let mut in_hand = InHand::default();
        let ticket = in_hand.take(Origin(1), &record(1), &[0, 2]).unwrap();
        assert_eq!(in_hand.take(Origin(1), &record(1), &[0, 2]), None);
        assert_eq!(outcome(&in_hand.settle(2, "two", &[ticket])), [Some("two")]);
        let jobs = in_hand.settle(0, "zero", &[ticket, 0]);
        assert_eq!(outcome(&jobs), [None]);
        assert_eq!(in_hand.take(Origin(1), &record(1), &[0]), None, "the cluster may still speak of it");
        in_hand.forget(&jobs[0]);
        assert!(in_hand.records.is_empty() && in_hand.tickets.is_empty());
    }

    #[test]
    fn what_is_another_nodes_by_now_is_left_out() {
        let mut in_hand = InHand::default();
        let (first, second, now, other) = (Origin(1), Origin(2), Origin(3), Origin(9));
        let is_own = |node| node != other;
        let channel = ChannelName::parse("c", 200).unwrap();
        let event = |ticket| Event::of(Kind::ChannelOccupied, &channel).with_ticket(ticket);
        let (a, b) =
            (in_hand.take(first, &record(1), &[0]).unwrap(), in_hand.take(second, &record(2), &[0]).unwrap());
        let events = [event(a), event(0), event(b)];
        assert_eq!(in_hand.still_of(now, is_own, &events), None, "nobody knows yet");
        in_hand.inherit(first, second, true);
        in_hand.inherit(second, now, true);
        assert_eq!(in_hand.still_of(now, is_own, &events).unwrap(), events);
        assert_eq!(in_hand.take(now, &record(1), &[0]), None, "it is known under the new id");
        in_hand.inherit(now, other, false);
        assert_eq!(in_hand.still_of(now, is_own, &events).unwrap(), [event(0)]);
    }

    #[test]
    fn a_batch_begins_once() {
        let mut in_hand = InHand::default();
        assert!(in_hand.begin("d") && !in_hand.begin("d"));
        let delivery = Some((Partition::of(&record(1).channel), "d".to_owned()));
        in_hand.forget(&Job { node: Origin(1), settled: Vec::new(), delivery, tickets: Vec::new() });
        assert!(in_hand.begin("d"));
    }
}
