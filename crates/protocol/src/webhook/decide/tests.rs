//! The rules of [`super::Decider`], with a clock that only these tests move.

use proptest::prelude::*;

use super::*;
use crate::webhook::event::body;

/// A decider and its time.
struct Case {
    decider: Decider,
    now: Duration,
}

impl Case {
    fn new() -> Self {
        let periods = Periods { grace: GRACE, miss: Duration::from_secs(1800) };
        Self { decider: Decider::new(periods), now: Duration::ZERO }
    }

    /// What follows from a fact, as `name channel rest`.
    fn on(&mut self, fact: Fact) -> Vec<String> {
        let mut events = Vec::new();
        self.decider.on(fact, self.now, &mut events);
        told(&events)
    }

    /// What follows from the time that passes.
    fn after(&mut self, millis: u64) -> Vec<String> {
        self.now += Duration::from_millis(millis);
        let mut events = Vec::new();
        self.decider.release(self.now, &mut events);
        told(&events)
    }
}

fn told(events: &[Event]) -> Vec<String> {
    let all: serde_json::Value = serde_json::from_str(&body(0, events)).unwrap();
    let told = all["events"].as_array().unwrap().iter().map(|event| {
        let more = event.get("user_id").or(event.get("subscription_count"));
        let more = more.map(|more| format!(" {more}")).unwrap_or_default();
        format!("{} {}{more}", event["name"].as_str().unwrap(), event["channel"].as_str().unwrap())
    });
    told.collect()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::from_text(id)
}

const NOTHING: [String; 0] = [];

#[test]
fn a_channel_is_vacated_three_seconds_after_its_last_subscriber() {
    let mut case = Case::new();
    assert_eq!(case.on(Fact::Occupied(channel("a"))), ["channel_occupied a"]);
    assert_eq!(case.on(Fact::Vacated(channel("a"))), NOTHING);
    assert_eq!(case.decider.next_due(), Some(Duration::from_secs(3)));
    assert_eq!(case.after(2_999), NOTHING);
    assert_eq!(case.after(1), ["channel_vacated a"]);
    assert_eq!(case.decider.next_due(), None);
}

#[test]
fn r_soketi_830_a_return_within_the_grace_takes_both_back() {
    let mut case = Case::new();
    case.on(Fact::Occupied(channel("a")));
    case.on(Fact::Vacated(channel("a")));
    assert_eq!(case.after(2_000), NOTHING);
    assert_eq!(case.on(Fact::Occupied(channel("a"))), NOTHING);
    assert_eq!(case.after(60_000), NOTHING);
    case.on(Fact::Vacated(channel("a")));
    assert_eq!(case.after(2_999), NOTHING, "the grace begins anew");
    assert_eq!(case.after(1), ["channel_vacated a"]);
    assert_eq!(case.on(Fact::Occupied(channel("a"))), ["channel_occupied a"]);
}

#[test]
fn a_return_that_comes_late_is_told_after_the_going() {
    let mut case = Case::new();
    case.on(Fact::Occupied(channel("a")));
    case.on(Fact::Vacated(channel("a")));
    case.now += GRACE;
    assert_eq!(case.on(Fact::Occupied(channel("a"))), ["channel_vacated a", "channel_occupied a"]);
}

#[test]
fn the_grace_is_per_user() {
    let mut case = Case::new();
    let (room, one, two) = (channel("presence-a"), user("1"), user("2"));
    assert_eq!(case.on(Fact::Joined(room.clone(), one.clone())), [r#"member_added presence-a "1""#]);
    assert_eq!(case.on(Fact::Joined(room.clone(), two.clone())), [r#"member_added presence-a "2""#]);
    case.on(Fact::Left(room.clone(), one.clone()));
    case.on(Fact::Left(room.clone(), two));
    assert_eq!(case.on(Fact::Joined(room.clone(), one)), NOTHING);
    assert_eq!(case.on(Fact::Joined(channel("presence-b"), user("2"))), [r#"member_added presence-b "2""#]);
    assert_eq!(case.after(3_000), [r#"member_removed presence-a "2""#]);
}

#[test]
fn many_misses_are_one_until_an_event_is_cached_or_half_an_hour_has_passed() {
    let mut case = Case::new();
    let name = channel("cache-a");
    assert_eq!(case.on(Fact::Missed(name.clone())), ["cache_miss cache-a"]);
    assert_eq!(case.on(Fact::Missed(name.clone())), NOTHING);
    assert_eq!(case.on(Fact::Missed(channel("cache-b"))), ["cache_miss cache-b"]);
    assert_eq!(case.on(Fact::Cached(name.clone())), NOTHING);
    assert_eq!(case.on(Fact::Missed(name.clone())), ["cache_miss cache-a"]);
    assert_eq!(case.after(1_799_999), NOTHING);
    assert_eq!(case.on(Fact::Missed(name.clone())), NOTHING);
    assert_eq!(case.after(1), NOTHING);
    assert_eq!(case.on(Fact::Missed(name)), ["cache_miss cache-a"]);
}

#[test]
fn counts_of_a_large_channel_are_summed_up() {
    let mut case = Case::new();
    let count = |case: &mut Case, count| case.on(Fact::Counted(channel("a"), count));
    assert_eq!(count(&mut case, 100), ["subscription_count a 100"]);
    assert_eq!(count(&mut case, 101), NOTHING);
    assert_eq!(case.after(4_999), NOTHING);
    assert_eq!(count(&mut case, 103), NOTHING);
    assert_eq!(case.after(1), ["subscription_count a 103"]);
    assert_eq!(case.after(60_000), NOTHING);
    assert_eq!(count(&mut case, 101), NOTHING);
    assert_eq!(count(&mut case, 99), ["subscription_count a 99"]);
    assert_eq!(case.after(60_000), NOTHING, "what was summed up is old by now");
}

#[test]
fn at_the_end_nothing_waits() {
    let mut case = Case::new();
    case.on(Fact::Vacated(channel("a")));
    case.on(Fact::Counted(channel("b"), 101));
    let mut events = Vec::new();
    case.decider.finish(&mut events);
    assert_eq!(told(&events), ["channel_vacated a", "subscription_count b 101"]);
    assert_eq!(case.on(Fact::Left(channel("presence-c"), user("1"))), [r#"member_removed presence-c "1""#]);
    assert_eq!(case.on(Fact::Vacated(channel("presence-c"))), ["channel_vacated presence-c"]);
}

#[test]
fn too_many_gone_end_the_oldest_grace_early() {
    let mut case = Case::new();
    for number in 0..MOST {
        assert_eq!(case.on(Fact::Vacated(channel(&number.to_string()))), NOTHING);
    }
    assert_eq!(case.on(Fact::Vacated(channel("a"))), ["channel_vacated 0"]);
}

proptest! {
    /// Whatever happens when: for each channel occupied and vacated take turns, beginning with occupied, and in the end
    /// the back end knows the truth.
    #[test]
    fn occupied_and_vacated_take_turns(steps in prop::collection::vec((0usize..3, 0u64..4_000), 0..60)) {
        let mut case = Case::new();
        let (mut truth, mut known) = ([false; 3], [false; 3]);
        let mut hear = |events: Vec<String>| {
            for event in events {
                let (name, channel) = event.split_once(' ').unwrap();
                let known = &mut known[channel.parse::<usize>().unwrap()];
                assert_ne!(*known, name == "channel_occupied", "{event}");
                *known = name == "channel_occupied";
            }
            known
        };
        for (which, pause) in steps {
            let name = channel(&which.to_string());
            truth[which] = !truth[which];
            let fact = if truth[which] { Fact::Occupied(name) } else { Fact::Vacated(name) };
            hear(case.on(fact));
            hear(case.after(pause));
        }
        prop_assert_eq!(hear(case.after(3_000)), truth);
    }
}
