//! Against a log that is cut, trimmed, lost and put back: every entry once and in order, and what is missing is said.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::entry::{Event, Published};

const OWN: Origin = Origin(1);
const PEER: Origin = Origin(2);

fn entry(origin: Origin, sequence: u64) -> Entry {
    with_events(origin, sequence, 1)
}

fn with_events(origin: Origin, sequence: u64, count: usize) -> Entry {
    let event = Event { text: Bytes::new(), except: None, keep: false };
    Entry { origin, sequence, events: vec![Published { at_ms: sequence, event }; count] }
}

fn at(epoch: u64, number: u64) -> Position {
    Position { epoch, number }
}

fn page(newest: Option<Position>, entries: &[(u64, u64)]) -> Page {
    Page {
        newest,
        entries: entries.iter().map(|&(number, sequence)| (number, entry(PEER, sequence))).collect(),
    }
}

/// The sequences that a step delivers.
fn delivered(step: &Step) -> Vec<u64> {
    step.deliver.iter().map(|heard| heard.entry.sequence).collect()
}

/// An inbox that has read a log up to number 5 of epoch 1.
fn up_to_date() -> Inbox {
    let mut inbox = Inbox::new(OWN);
    assert_eq!(inbox.on_subscribed().read, Some(None));
    assert_eq!(inbox.on_page(page(Some(at(1, 5)), &[])), Step::default());
    inbox
}

#[test]
fn live_entries_follow_each_other_without_the_log() {
    let mut inbox = up_to_date();
    for number in 6..9 {
        let step = inbox.on_message(at(1, number), entry(PEER, number));
        assert_eq!((delivered(&step), step.read), (vec![number], None));
    }
    assert_eq!(inbox.on_message(at(1, 7), entry(PEER, 7)), Step::default(), "a repeat is nothing");
}

#[test]
fn the_first_entry_of_an_empty_channel_needs_no_look_at_the_log() {
    let mut inbox = Inbox::new(OWN);
    inbox.on_subscribed();
    inbox.on_page(page(None, &[]));
    assert_eq!(delivered(&inbox.on_message(at(7, 1), entry(PEER, 1))), [1]);
}

#[test]
fn a_hole_is_filled_from_the_log_and_what_came_meanwhile_follows() {
    let mut inbox = up_to_date();
    assert_eq!(inbox.on_message(at(1, 8), entry(PEER, 8)).read, Some(Some(at(1, 5))));
    assert_eq!(inbox.on_message(at(1, 9), entry(PEER, 9)), Step::default(), "one look is enough");
    let step = inbox.on_page(page(Some(at(1, 8)), &[(6, 6), (7, 7), (8, 8)]));
    assert_eq!((delivered(&step), step.lost, step.read), (vec![6, 7, 8, 9], 0, None));
    let from_log: Vec<_> = step.deliver.iter().map(|heard| heard.from_log).collect();
    assert_eq!(from_log, [true, true, false, false], "what was heard live is on time, wherever it is read");
}

#[test]
fn a_hole_is_as_wide_as_the_events_in_it() {
    let mut inbox = up_to_date();
    let step = inbox.on_message(at(1, 8), with_events(PEER, 6, 3));
    assert_eq!((delivered(&step), step.read), (vec![6], None), "three events follow number 5");
    assert_eq!(inbox.on_message(at(1, 20), with_events(PEER, 9, 2)).read, Some(Some(at(1, 7))));
    let seen_before = (8, with_events(PEER, 6, 3));
    let entries = vec![seen_before, (20, with_events(PEER, 9, 2))];
    let step = inbox.on_page(Page { newest: Some(at(1, 20)), entries });
    assert_eq!((delivered(&step), step.lost, step.read), (vec![9], 10, None));
}

#[test]
fn a_log_that_lost_its_end_and_went_on_is_read_from_the_beginning() {
    let mut inbox = up_to_date();
    inbox.on_message(at(1, 6), entry(PEER, 6));
    inbox.on_message(at(1, 7), entry(PEER, 7));
    assert_eq!(inbox.on_subscribed().read, Some(Some(at(1, 6))));
    // Number 7 went with the end of the log; another has it now, and 8 follows.
    let step = inbox.on_page(page(Some(at(1, 8)), &[(7, 8), (8, 9)]));
    assert_eq!((delivered(&step), step.read), (vec![], Some(None)));
    let step = inbox.on_page(page(Some(at(1, 8)), &[(5, 5), (6, 6), (7, 8), (8, 9)]));
    assert_eq!((delivered(&step), step.lost), (vec![8, 9], 0));
}

#[test]
fn what_the_log_has_forgotten_is_counted() {
    let mut inbox = up_to_date();
    inbox.on_subscribed();
    let step = inbox.on_page(page(Some(at(1, 9)), &[(8, 8), (9, 9)]));
    assert_eq!((delivered(&step), step.lost), (vec![8, 9], 2));
    inbox.on_subscribed();
    let step = inbox.on_page(page(Some(at(1, 12)), &[]));
    assert_eq!((delivered(&step), step.lost), (vec![], 3));
}

#[test]
fn redis_without_its_memory_begins_a_new_life() {
    let mut inbox = up_to_date();
    assert_eq!(delivered(&inbox.on_message(at(2, 1), entry(PEER, 1))), [1]);
    assert_eq!(inbox.on_message(at(3, 4), entry(PEER, 4)).read, Some(Some(at(2, 0))));
    // What was told again under the new epoch is known by its origin's count.
    let step = inbox.on_page(page(Some(at(3, 4)), &[(1, 1), (2, 2), (3, 3), (4, 4)]));
    assert_eq!((delivered(&step), step.lost), (vec![2, 3, 4], 0));
}

#[test]
fn redis_with_old_memory_does_not_make_the_channel_deaf() {
    let mut inbox = up_to_date();
    inbox.on_message(at(1, 6), entry(PEER, 6));
    inbox.on_message(at(1, 7), entry(PEER, 7));
    inbox.on_subscribed();
    assert_eq!(inbox.on_page(page(Some(at(1, 4)), &[])), Step::default());
    assert_eq!(delivered(&inbox.on_message(at(1, 5), entry(PEER, 7))), [0; 0], "told again");
    assert_eq!(delivered(&inbox.on_message(at(1, 6), entry(PEER, 8))), [8]);
}

#[test]
fn own_entries_are_marked_and_failures_change_nothing() {
    let mut inbox = up_to_date();
    assert!(inbox.on_message(at(1, 6), entry(OWN, 1)).deliver.iter().all(|heard| heard.own));
    assert_eq!(inbox.on_message(at(1, 9), entry(PEER, 9)).read, Some(Some(at(1, 5))));
    inbox.on_failure();
    assert_eq!(inbox.on_message(at(1, 7), entry(PEER, 7)).deliver.len(), 1);
    assert_eq!(inbox.on_subscribed().read, Some(Some(at(1, 6))));
}

/// A log as Redis keeps it, with a topic that may lose what it is given.
#[derive(Default)]
struct Log {
    epoch: u64,
    number: u64,
    kept: Vec<(u64, Entry)>,
    /// On their way to the inbox.
    live: Vec<(Position, Entry)>,
}

impl Log {
    fn append(&mut self, entry: Entry) {
        self.number += 1;
        self.kept.push((self.number, entry.clone()));
        self.live.push((at(self.epoch, self.number), entry));
    }

    fn page(&self, after: Option<Position>) -> Page {
        let from = after.filter(|after| after.epoch == self.epoch).map_or(0, |after| after.number);
        let newest = (self.number > 0).then(|| at(self.epoch, self.number));
        let entries =
            self.kept.iter().filter(|(number, _)| *number > from || newest.is_some_and(|n| n.number < from));
        Page { newest, entries: entries.cloned().collect() }
    }
}

/// Brings the inbox everything it asks for; what it delivers is appended to `heard`.
fn settle(inbox: &mut Inbox, log: &Log, mut step: Step, heard: &mut Vec<u64>) {
    for _ in 0..10 {
        heard.extend(step.deliver.iter().map(|one| one.entry.sequence));
        let Some(after) = step.read else { return };
        step = inbox.on_page(log.page(after));
    }
    panic!("the inbox reads the log for ever");
}

proptest! {
    #[test]
    fn nothing_comes_twice_or_out_of_order_and_what_the_log_keeps_arrives(steps in prop::collection::vec(0u8..8, 1..80)) {
        let mut log = Log { epoch: 1, ..Log::default() };
        let (mut inbox, mut heard, mut sequence) = (Inbox::new(OWN), Vec::new(), 0);
        let first = inbox.on_subscribed();
        settle(&mut inbox, &log, first, &mut heard);
        for kind in steps {
            match kind {
                0..4 => {
                    sequence += 1;
                    log.append(entry(PEER, sequence));
                }
                4 | 5 => {
                    for (at, entry) in std::mem::take(&mut log.live) {
                        let step = inbox.on_message(at, entry);
                        settle(&mut inbox, &log, step, &mut heard);
                    }
                }
                // The link is cut: what was on its way is gone.
                6 => log.live.clear(),
                // Redis starts again without its memory, and the publisher tells its last entries once more.
                _ => {
                    let again = std::mem::take(&mut log.kept);
                    log = Log { epoch: log.epoch + 1, ..Log::default() };
                    again.into_iter().for_each(|(_, entry)| log.append(entry));
                    log.live.clear();
                    let step = inbox.on_subscribed();
                    settle(&mut inbox, &log, step, &mut heard);
                }
            }
        }
        let step = inbox.on_subscribed();
        settle(&mut inbox, &log, step, &mut heard);
        prop_assert_eq!(heard, (1..=sequence).collect::<Vec<_>>());
    }
}
