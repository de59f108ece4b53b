//! What a node tells: in order, together while it waits, again when Redis forgot it, and never without an end.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 64 * 1024 * 1024;
const NOW: Duration = Duration::from_secs(1_000);

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

fn event(text: &str) -> Event {
    Event { text: Bytes::copy_from_slice(text.as_bytes()), except: None, keep: false }
}

fn push(outgoing: &mut Outgoing, name: &str, text: &str) -> u64 {
    outgoing.push(&channel(name), event(text), NOW, 1).unwrap()
}

fn texts(append: &Append) -> Vec<&str> {
    append.entry.events.iter().map(|one| str::from_utf8(&one.event.text).unwrap()).collect()
}

fn at(number: u64) -> Position {
    Position { epoch: 9, number }
}

#[test]
fn what_comes_while_an_entry_is_on_its_way_shares_the_next() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    assert_eq!(push(&mut outgoing, "a", "1"), 1);
    let first = outgoing.next_append().unwrap();
    assert_eq!((texts(&first), first.expected), (vec!["1"], None));
    assert_eq!([push(&mut outgoing, "a", "2"), push(&mut outgoing, "a", "3")], [2, 2]);
    assert_eq!(outgoing.next_append(), None, "one entry of a channel at a time");
    assert_eq!(push(&mut outgoing, "b", "x"), 3);
    assert_eq!(texts(&outgoing.next_append().unwrap()), ["x"], "another channel does not wait");
    assert_eq!(outgoing.answered(&channel("a"), Answer::Appended(at(1))), Some(1));
    let second = outgoing.next_append().unwrap();
    assert_eq!((texts(&second), second.expected), (vec!["2", "3"], Some(at(1))));
}

#[test]
fn no_answer_means_the_same_entry_again() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    push(&mut outgoing, "a", "1");
    let first = outgoing.next_append().unwrap();
    push(&mut outgoing, "a", "2");
    outgoing.failed(&channel("a"));
    assert_eq!(outgoing.next_append().unwrap(), first, "it may have arrived: it must not change");
}

#[test]
fn a_redis_that_forgot_is_told_again_in_order() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    for (text, number) in [("1", 1), ("2", 2)] {
        push(&mut outgoing, "a", text);
        outgoing.next_append().unwrap();
        outgoing.answered(&channel("a"), Answer::Appended(at(number)));
    }
    push(&mut outgoing, "a", "3");
    assert_eq!(outgoing.next_append().unwrap().expected, Some(at(2)));
    assert_eq!(outgoing.answered(&channel("a"), Answer::Behind(None)), None);
    for text in ["1", "2", "3"] {
        let append = outgoing.next_append().unwrap();
        assert_eq!(texts(&append), [text]);
        outgoing
            .answered(&channel("a"), Answer::Appended(Position { epoch: 10, number: append.entry.sequence }));
    }
    assert_eq!((outgoing.next_append(), outgoing.waiting()), (None, 0));
}

#[test]
fn a_new_link_looks_whether_what_was_taken_is_still_there() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    for name in ["a", "b"] {
        push(&mut outgoing, name, "1");
        outgoing.next_append().unwrap();
        outgoing.answered(&channel(name), Answer::Appended(at(1)));
    }
    outgoing.relinked();
    let looks = [outgoing.next_append().unwrap(), outgoing.next_append().unwrap()];
    assert!(looks.iter().all(|look| look.entry.events.is_empty() && look.expected == Some(at(1))));
    push(&mut outgoing, "a", "2");
    assert_eq!(outgoing.next_append(), None, "after the look");
    assert_eq!(outgoing.answered(&channel("a"), Answer::Appended(at(1))), None, "nothing was appended");
    assert_eq!(texts(&outgoing.next_append().unwrap()), ["2"]);
    outgoing.answered(&channel("a"), Answer::Appended(at(2)));
    outgoing.failed(&channel("b"));
    assert!(
        outgoing.next_append().unwrap().entry.events.is_empty(),
        "it is looked at until there is an answer"
    );
    outgoing.answered(&channel("b"), Answer::Behind(None));
    let again = outgoing.next_append().unwrap();
    assert_eq!((texts(&again), again.expected), (vec!["1"], None));
    outgoing.answered(&channel("b"), Answer::Appended(at(1)));
    assert_eq!(outgoing.next_append(), None);
    assert_eq!(outgoing.expire(NOW + KEEP), 0);
    assert!(outgoing.bytes == 0 && outgoing.lanes.is_empty() && outgoing.taken.is_empty());
}

#[test]
fn an_entry_takes_no_events_of_very_different_age() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    outgoing.push(&channel("a"), event("1"), NOW, 1).unwrap();
    outgoing.push(&channel("a"), event("2"), NOW + OPEN - Duration::from_millis(1), 1_000).unwrap();
    outgoing.push(&channel("a"), event("3"), NOW + OPEN, 1_001).unwrap();
    let times = outgoing.next_append().unwrap().entry.events.into_iter().map(|one| one.at_ms);
    assert_eq!(times.collect::<Vec<_>>(), [1, 1_000]);
    outgoing.failed(&channel("a"));
    assert_eq!((outgoing.expire(NOW + KEEP), outgoing.waiting()), (2, 1));
}

#[test]
fn old_events_are_given_up_and_counted() {
    let mut outgoing = Outgoing::new(Origin(1), LIMIT);
    push(&mut outgoing, "a", "taken");
    outgoing.next_append().unwrap();
    outgoing.answered(&channel("a"), Answer::Appended(at(1)));
    push(&mut outgoing, "a", "flying");
    outgoing.next_append().unwrap();
    push(&mut outgoing, "a", "late");
    push(&mut outgoing, "a", "late, too");
    assert_eq!(outgoing.expire(NOW + KEEP - Duration::from_millis(1)), 0);
    assert_eq!((outgoing.expire(NOW + KEEP), outgoing.waiting()), (2, 1));
    outgoing.failed(&channel("a"));
    assert_eq!((outgoing.expire(NOW + KEEP), outgoing.waiting(), outgoing.bytes), (1, 0, 0));
    assert_eq!(outgoing.next_append(), None);
    assert!(outgoing.lanes.is_empty(), "nothing stays of a channel that is quiet");
}

#[test]
fn a_full_buffer_gives_up_what_is_in_redis_first() {
    let mut outgoing = Outgoing::new(Origin(1), 2 * (OVERHEAD + 1));
    push(&mut outgoing, "a", "1");
    outgoing.next_append().unwrap();
    outgoing.answered(&channel("a"), Answer::Appended(at(1)));
    push(&mut outgoing, "a", "2");
    push(&mut outgoing, "b", "3");
    assert_eq!(outgoing.push(&channel("c"), event("4"), NOW, 1), Err(Full));
    assert_eq!(outgoing.waiting(), 2, "what waits is not given up");
}

proptest! {
    /// A Redis that answers, loses answers, and loses its memory: its log ends up with everything, in order.
    #[test]
    fn everything_reaches_the_log_in_order(steps in prop::collection::vec((0u8..6, 0u8..3), 1..120)) {
        let mut outgoing = Outgoing::new(Origin(1), LIMIT);
        let (mut epoch, mut log, mut pushed) = (1, Vec::<Append>::new(), Vec::new());
        let mut flying: Vec<Append> = Vec::new();
        let answer = |append: &Append, epoch: u64, log: &mut Vec<Append>| {
            let number = log.len() as u64;
            let here = (number > 0).then_some(Position { epoch, number });
            if append.expected.is_some_and(|expected| here.is_none_or(|here| here.epoch != expected.epoch || here.number < expected.number)) {
                return Answer::Behind(here);
            }
            if append.entry.events.is_empty() {
                return Answer::Appended(here.unwrap());
            }
            log.push(append.clone());
            Answer::Appended(Position { epoch, number: number + 1 })
        };
        for (kind, of) in steps {
            match kind {
                0..=1 => {
                    let text = pushed.len().to_string();
                    push(&mut outgoing, &format!("c{of}"), &text);
                    pushed.push((of, text));
                }
                2 => flying.extend(outgoing.next_append()),
                3 => for append in flying.drain(..) {
                    let said = answer(&append, epoch, &mut log);
                    outgoing.answered(&append.channel, said);
                },
                // The answer is lost on its way.
                4 => for append in flying.drain(..) {
                    answer(&append, epoch, &mut log);
                    outgoing.failed(&append.channel);
                },
                _ => {
                    epoch += 1;
                    log.clear();
                }
            }
        }
        for append in flying.drain(..) {
            outgoing.failed(&append.channel);
        }
        outgoing.relinked();
        while let Some(append) = outgoing.next_append() {
            let said = answer(&append, epoch, &mut log);
            outgoing.answered(&append.channel, said);
        }
        for of in 0..3 {
            let mut newest = 0;
            let mut told = Vec::new();
            for append in log.iter().filter(|append| *append.channel == *format!("c{of}")) {
                if append.entry.sequence > newest {
                    newest = append.entry.sequence;
                    told.extend(texts(append).into_iter().map(str::to_owned));
                }
            }
            let expected: Vec<_> = pushed.iter().filter(|(channel, _)| *channel == of).map(|(_, text)| text.clone()).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
