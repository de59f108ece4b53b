//! The queue of one endpoint: bounded in bytes, handed out in batches, in order for each channel.
//!
//! A batch that is on its way keeps its channels: their later events wait until it is [`Backlog::finished`], however
//! often it is tried. Events of other channels go on meanwhile.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::event::Event;
use crate::channel::ChannelName;

/// How much one request may carry. A single event that is larger goes alone.
#[derive(Debug, Clone, Copy)]
pub struct BatchSize {
    /// Events.
    pub events: usize,
    /// Bytes of these.
    pub bytes: usize,
}

/// Events of one request.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    oldest: Duration,
}

impl Batch {
    /// At least one, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// When the first of them began to wait.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.oldest
    }
}

/// What an endpoint has not taken yet.
#[derive(Debug)]
pub struct Backlog {
    channels: HashMap<ChannelName, Lane>,
    /// Channels with events that wait and none on its way, in the order in which they began to wait.
    ready: VecDeque<ChannelName>,
    /// Events of these channels.
    ready_events: usize,
    /// Of what waits and what is on its way.
    bytes: usize,
    len: usize,
    bound: usize,
    newest: u64,
    refused: u64,
}

/// One channel's events that wait.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    busy: bool,
}

/// An event with its number among all, and the time since which it waits.
type Waiting = (u64, Duration, Event);

impl Backlog {
    /// Empty, with room for `bound` bytes.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        let (channels, ready) = (HashMap::new(), VecDeque::new());
        Self { channels, ready, ready_events: 0, bytes: 0, len: 0, bound, newest: 0, refused: 0 }
    }

    /// Appends an event at this time, or counts it as refused (false) when there is no room.
    pub fn push(&mut self, event: Event, now: Duration) -> bool {
        if self.bytes + event.size() > event.kind().share(self.bound) {
            self.refused += 1;
            return false;
        }
        self.bytes += event.size();
        self.len += 1;
        self.newest += 1;
        let channel = event.channel().clone();
        let lane = self.channels.entry(channel.clone()).or_default();
        lane.waiting.push_back((self.newest, now, event));
        if !lane.busy {
            self.ready_events += 1;
            if lane.waiting.len() == 1 {
                self.ready.push_back(channel);
            }
        }
        true
    }

    /// A batch that somebody else has made and that is sent first: until it is finished, other events of its channels wait.
    pub fn take_over(&mut self, events: Vec<Event>, oldest: Duration) -> Batch {
        for event in &events {
            self.bytes += event.size();
            self.len += 1;
            let lane = self.channels.entry(event.channel().clone()).or_default();
            if !std::mem::replace(&mut lane.busy, true) {
                self.ready_events -= lane.waiting.len();
            }
        }
        self.ready.retain(|channel| self.channels.get(channel).is_some_and(|lane| !lane.busy));
        Batch { events, oldest }
    }

    /// How many were refused since the last call.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Events that wait or are on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Of those that wait, the ones of which nobody keeps a copy.
    #[must_use]
    pub fn unkept(&self) -> usize {
        let waiting = self.channels.values().flat_map(|lane| &lane.waiting);
        waiting.filter(|(.., event)| event.ticket() == 0).count()
    }

    /// Is there nothing left to do?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Does enough wait for a whole batch?
    #[must_use]
    pub fn fills(&self, size: BatchSize) -> bool {
        self.ready_events >= size.events
    }

    /// The next batch: of the channels that have waited longest, as much as fits. Within it, all events are in order.
    pub fn take(&mut self, size: BatchSize) -> Option<Batch> {
        let mut batch = Filling { size, bytes: 0, events: Vec::new() };
        while batch.events.len() < size.events
            && let Some(channel) = self.ready.front()
        {
            let Some(lane) = self.channels.get_mut(channel) else { break };
            let waited = lane.waiting.len();
            if !batch.fill_from(lane) {
                break;
            }
            self.ready_events -= waited;
            self.ready.pop_front();
        }
        batch.events.sort_unstable_by_key(|(number, ..)| *number);
        let oldest = batch.events.first().map(|(_, since, _)| *since)?;
        Some(Batch { events: batch.events.into_iter().map(|(.., event)| event).collect(), oldest })
    }

    /// A batch was delivered or given up.
    pub fn finished(&mut self, batch: &Batch) {
        self.len -= batch.events.len();
        for event in &batch.events {
            self.bytes -= event.size();
            self.free(event.channel());
        }
    }

    /// Lets the channel's next events go. Called for each event of a batch; only the first call changes anything.
    fn free(&mut self, channel: &ChannelName) {
        let Some(lane) = self.channels.get_mut(channel).filter(|lane| lane.busy) else { return };
        lane.busy = false;
        if lane.waiting.is_empty() {
            self.channels.remove(channel);
        } else {
            self.ready_events += lane.waiting.len();
            self.ready.push_back(channel.clone());
        }
    }
}

/// A batch in the making.
struct Filling {
    size: BatchSize,
    bytes: usize,
    events: Vec<Waiting>,
}

impl Filling {
    /// Takes a channel's events as far as there is room, and keeps the channel busy then. False when not even one fits.
    fn fill_from(&mut self, lane: &mut Lane) -> bool {
        while let Some((.., event)) = lane.waiting.front() {
            let fits = self.bytes + event.size() <= self.size.bytes || self.events.is_empty();
            if !fits || self.events.len() >= self.size.events {
                break;
            }
            self.bytes += event.size();
            lane.busy = true;
            self.events.extend(lane.waiting.pop_front());
        }
        lane.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::event::{Sent, body};
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SIZE: BatchSize = BatchSize { events: 3, bytes: 10_000 };

    /// Events whose count tells them apart.
    fn event(channel: &str, number: usize) -> Event {
        Event::subscription_count(&ChannelName::parse(channel, 200).unwrap(), number)
    }

    fn shown(batch: &Batch) -> Vec<String> {
        let all: serde_json::Value = serde_json::from_str(&body(0, batch.events())).unwrap();
        let shown = all["events"].as_array().unwrap().iter();
        shown
            .map(|event| format!("{}{}", event["channel"].as_str().unwrap(), event["subscription_count"]))
            .collect()
    }

    fn filled(bound: usize, events: &[(&str, usize)]) -> Backlog {
        let mut backlog = Backlog::new(bound);
        for (channel, number) in events {
            backlog.push(event(channel, *number), Duration::ZERO);
        }
        backlog
    }

    #[test]
    fn a_batch_keeps_its_channels_until_it_is_finished() {
        let mut backlog = filled(10_000, &[("a", 1), ("b", 2), ("a", 3), ("a", 4), ("c", 5), ("b", 6)]);
        assert!(backlog.fills(SIZE));
        let first = backlog.take(SIZE).unwrap();
        assert_eq!(shown(&first), ["a1", "a3", "a4"]);
        backlog.push(event("a", 7), Duration::ZERO);
        let second = backlog.take(SIZE).unwrap();
        assert_eq!(shown(&second), ["b2", "c5", "b6"], "in one request the order is that of all channels");
        assert!(backlog.take(SIZE).is_none());
        backlog.finished(&second);
        assert!(backlog.take(SIZE).is_none());
        backlog.finished(&first);
        let third = backlog.take(SIZE).unwrap();
        assert_eq!(shown(&third), ["a7"]);
        backlog.finished(&third);
        assert!(backlog.is_empty() && backlog.bytes == 0 && backlog.channels.is_empty());
    }

    #[test]
    fn a_batch_of_somebody_else_keeps_its_channels_too() {
        let mut backlog = filled(10_000, &[("a", 1), ("b", 2), ("a", 3)]);
        let others = backlog.take_over(vec![event("a", 0), event("a", 0), event("new", 0)], Duration::ZERO);
        backlog.push(event("new", 4), Duration::from_secs(1));
        let own = backlog.take(SIZE).unwrap();
        assert_eq!(shown(&own), ["b2"]);
        assert!(backlog.take(SIZE).is_none());
        backlog.finished(&others);
        let rest = backlog.take(SIZE).unwrap();
        assert_eq!(
            (shown(&rest), rest.oldest()),
            (vec!["a1".into(), "a3".into(), "new4".into()], Duration::ZERO)
        );
        [rest, own].iter().for_each(|batch| backlog.finished(batch));
        assert!(backlog.is_empty() && backlog.bytes == 0 && backlog.channels.is_empty());
    }

    #[test]
    fn what_is_kept_elsewhere_is_not_lost() {
        let mut backlog = filled(10_000, &[("a", 1), ("b", 2)]);
        backlog.push(event("a", 3).with_ticket(7), Duration::ZERO);
        assert_eq!((backlog.len(), backlog.unkept()), (3, 2));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_a_large_event_goes_alone() {
        let two = 2 * event("a", 1).size();
        let mut backlog = filled(10_000, &[("a", 1), ("a", 2), ("a", 3)]);
        let batch = backlog.take(BatchSize { events: 100, bytes: two }).unwrap();
        assert_eq!(shown(&batch), ["a1", "a2"]);
        backlog.finished(&batch);
        let batch = backlog.take(BatchSize { events: 100, bytes: 1 }).unwrap();
        assert_eq!(shown(&batch), ["a3"]);
    }

    #[test]
    fn what_has_no_room_is_counted_also_while_a_batch_is_on_its_way() {
        let mut backlog = filled(2 * event("a", 1).size(), &[("a", 1), ("a", 2), ("a", 3)]);
        assert_eq!((backlog.len(), backlog.take_refused(), backlog.take_refused()), (2, 1, 0));
        let batch = backlog.take(SIZE).unwrap();
        backlog.push(event("b", 1), Duration::ZERO);
        assert_eq!(backlog.take_refused(), 1);
        backlog.finished(&batch);
        backlog.push(event("b", 1), Duration::ZERO);
        assert_eq!((backlog.len(), backlog.take_refused()), (1, 0));
    }

    #[test]
    fn client_events_leave_room_for_others() {
        let channel = ChannelName::parse("private-a", 200).unwrap();
        let sent = Sent { event: "client-x", data: None, socket_id: "1.1".parse().unwrap(), user_id: None };
        let flood = Event::client_event(&channel, &sent);
        let mut backlog = Backlog::new(4 * flood.size());
        let room = (0..10).filter(|_| backlog.push(flood.clone(), Duration::ZERO)).count();
        assert_eq!(room, 3);
        assert_eq!((backlog.len(), backlog.take_refused()), (3, 7));
        backlog.push(event("a", 1), Duration::ZERO);
        assert_eq!((backlog.len(), backlog.take_refused()), (4, 0));
    }

    proptest! {
        /// Batches come and go in any order; each channel's events are handed out in theirs, one batch at a time, and none
        /// is forgotten.
        #[test]
        fn each_channel_stays_in_order(steps in prop::collection::vec((0u8..4, 0usize..4), 1..200)) {
            let mut backlog = Backlog::new(usize::MAX);
            let (mut pushed, mut on_the_way) = (HashMap::<String, Vec<usize>>::new(), Vec::<Batch>::new());
            let mut taken = pushed.clone();
            let mut note = |batch: &Batch| for shown in shown(batch) {
                let (channel, number) = shown.split_at(1);
                taken.entry(channel.to_owned()).or_default().push(number.parse().unwrap());
            };
            for (number, (what, which)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => {
                        let channel = ["a", "b", "c", "d"][which];
                        backlog.push(event(channel, number), Duration::ZERO);
                        pushed.entry(channel.to_owned()).or_default().push(number);
                    }
                    2 => if let Some(batch) = backlog.take(SIZE) {
                        let mut busy = on_the_way.iter().flat_map(Batch::events);
                        prop_assert!(!busy.any(|e| batch.events().iter().any(|own| own.channel() == e.channel())));
                        note(&batch);
                        on_the_way.push(batch);
                    },
                    _ if on_the_way.is_empty() => {}
                    _ => backlog.finished(&on_the_way.swap_remove(which % on_the_way.len())),
                }
            }
            on_the_way.drain(..).for_each(|batch| backlog.finished(&batch));
            while let Some(batch) = backlog.take(SIZE) {
                note(&batch);
                backlog.finished(&batch);
            }
            prop_assert!(backlog.is_empty() && backlog.bytes == 0 && backlog.ready_events == 0);
            prop_assert!(backlog.channels.is_empty() && backlog.ready.is_empty());
            prop_assert_eq!(taken, pushed);
        }
    }
}
