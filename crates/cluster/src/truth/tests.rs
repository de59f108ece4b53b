//! The truth against a place that orders what it is told, over links that lose, delay and forget.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NODE: Origin = Origin(1);
const START: Duration = Duration::from_secs(1);

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

fn json(user: &str) -> Bytes {
    Bytes::from(format!(r#"{{"user_id":"{user}"}}"#))
}

impl Truth {
    fn come(&mut self, name: &str, user: Option<&str>) -> Option<Step> {
        let json = user.map(json);
        self.joined(&channel(name), user.zip(json.as_ref()), START)
    }

    fn go(&mut self, name: &str, user: Option<&str>) {
        self.left(&channel(name), user, START);
    }

    fn telling(&mut self, now: Duration) -> Option<Telling> {
        match self.next(NODE, now)? {
            Work::Tell(telling) => Some(telling),
            Work::List(..) => panic!("nothing is to be listed"),
        }
    }

    fn taken(&mut self, telling: &Telling, version: Version) -> Option<Settled> {
        let partition = Partition::of(&telling.channel);
        self.answered(partition, telling.number, Told::Taken(version), START)
    }
}

fn users(telling: &Telling) -> Vec<(&str, bool, bool)> {
    telling.users.iter().map(|claim| (&*claim.user_id, claim.member.is_some(), claim.known)).collect()
}

#[test]
fn what_changes_while_a_telling_is_on_its_way_forms_the_next_one() {
    let mut truth = Truth::default();
    let step = truth.come("presence-a", Some("ann"));
    let first = truth.telling(START).unwrap();
    assert_eq!((first.subscriptions, users(&first)), (1, vec![("ann", true, false)]));
    truth.come("presence-a", Some("bob"));
    truth.go("presence-a", Some("ann"));
    assert!(truth.telling(START).is_none(), "one at a time");
    let settled = truth.taken(&first, 5).unwrap();
    assert_eq!((Some(settled.step), settled.version), (step, 5));
    let second = truth.telling(START).unwrap();
    assert_eq!((second.subscriptions, second.known), (1, true));
    assert_eq!(users(&second), [("ann", false, true), ("bob", true, false)]);
    truth.taken(&second, 6);
    assert_eq!(truth.come("presence-a", Some("bob")), None, "everybody knows bob");
    assert!(truth.wake_at().is_some() && !truth.is_told(), "the count has changed");
}

#[test]
fn an_answer_that_is_late_or_lost_makes_nothing_stale_for_ever() {
    let mut truth = Truth::default();
    truth.come("presence-a", Some("ann"));
    let lost = truth.telling(START).unwrap();
    truth.failed(Partition::of(&lost.channel), lost.number, START);
    let again = truth.telling(START).unwrap();
    assert_eq!((again.number, &again.users), (lost.number + 1, &lost.users));
    assert_eq!(truth.taken(&lost, 1), None, "nothing is learned of an answer that comes too late");
    let stale = truth.answered(Partition::of(&again.channel), again.number, Told::Stale(70), START);
    assert_eq!(stale, None);
    let above = truth.telling(START).unwrap();
    assert_eq!((above.number, &above.users), (71, &lost.users));
    assert!(truth.taken(&above, 2).is_some() && truth.is_told());
}

#[test]
fn everything_is_told_anew_even_while_something_else_changes() {
    let mut truth = Truth::default();
    truth.come("presence-a", Some("ann"));
    let telling = truth.telling(START).unwrap();
    truth.taken(&telling, 1);
    assert!(truth.is_told_anew());
    truth.tell_everything(START);
    while let Some(work) = truth.next(NODE, START) {
        assert!(!truth.is_told_anew());
        match work {
            Work::List(partition, number) => truth.listed(partition, number, Vec::new(), START),
            Work::Tell(telling) => {
                assert!(telling.whole);
                truth.taken(&telling, 2);
            }
        }
    }
    truth.come("presence-a", Some("bob"));
    let under_way = truth.telling(START).unwrap();
    assert!(!under_way.whole && truth.is_told_anew() && !truth.is_told());
}

#[test]
fn counts_are_told_at_once_and_then_ten_times_a_second() {
    let mut truth = Truth::default();
    truth.come("a", None);
    let first = truth.telling(START).unwrap();
    assert_eq!(first.subscriptions, 1);
    truth.taken(&first, 1);
    for _ in 0..50 {
        truth.come("a", None);
    }
    assert_eq!(truth.wake_at(), Some(START + COUNT_PAUSE));
    assert!(truth.telling(START + COUNT_PAUSE / 2).is_none());
    assert_eq!(truth.telling(START + COUNT_PAUSE).unwrap().subscriptions, 51);
}

#[test]
fn what_is_asked_about_is_told_before_its_turn() {
    let mut truth = Truth::default();
    assert_eq!(truth.hurry(&channel("a"), START), None);
    let step = truth.come("a", None);
    let first = truth.telling(START).unwrap();
    assert_eq!(truth.hurry(&channel("a"), START), step, "it is on its way");
    truth.taken(&first, 1);
    assert_eq!((truth.hurry(&channel("a"), START), truth.untold()), (None, vec![]));
    let step = truth.come("a", None);
    assert!(truth.telling(START).is_none());
    assert_eq!(truth.untold(), [channel("a")]);
    assert_eq!(truth.hurry(&channel("a"), START), step);
    let second = truth.telling(START).unwrap();
    assert_eq!((second.subscriptions, truth.untold()), (2, vec![channel("a")]));
    assert_eq!(truth.taken(&second, 2).map(|settled| settled.step), step);
    assert!(truth.is_told());
}

#[test]
fn after_a_reconnect_everything_is_told_and_what_is_not_so_is_taken_back() {
    let mut truth = Truth::default();
    truth.come("presence-a", Some("ann"));
    let first = truth.telling(START).unwrap();
    truth.taken(&first, 1);
    truth.come("presence-a", Some("bob"));
    truth.go("presence-a", Some("ann"));
    let before = truth.telling(START).unwrap();
    truth.tell_everything(START);
    assert_eq!(truth.taken(&before, 2), None, "that was another link");
    let partition = Partition::of(&channel("presence-a"));
    // One that lies in the same partition.
    let mut names = (0..10_000).map(|n| channel(&format!("c{n}")));
    let ghost = names.find(|name| Partition::of(name) == partition).unwrap();
    let mut tellings = Vec::new();
    while let Some(work) = truth.next(NODE, START) {
        match work {
            Work::List(part, number) if part == partition => {
                truth.listed(part, number, vec![channel("presence-a"), ghost.clone(), channel("a")], START);
            }
            Work::List(part, number) => truth.listed(part, number, vec![], START),
            Work::Tell(telling) => {
                truth.taken(&telling, 9);
                tellings.push(telling);
            }
        }
    }
    tellings.sort_by_key(|telling| telling.subscriptions);
    let [taken_back, told] = &tellings[..] else { panic!("{tellings:?}") };
    assert_eq!((&taken_back.channel, taken_back.subscriptions, taken_back.known), (&ghost, 0, true));
    assert!(taken_back.whole && told.whole && told.known);
    let mut told = users(told);
    told.sort_unstable();
    assert_eq!(told, [("ann", false, true), ("bob", true, false)]);
    assert!(truth.is_told() && truth.channels.len() == 1);
}

#[test]
fn a_large_channel_is_told_in_parts_and_settled_by_the_last() {
    let mut truth = Truth::default();
    let step = ["a", "b", "c", "d", "e"].map(|user| truth.come("presence-a", Some(user)))[4];
    let mut told = Vec::new();
    let mut steps = Vec::new();
    while let Some(telling) = truth.telling(START) {
        told.extend(users(&telling).into_iter().map(|(user, ..)| user.to_owned()));
        assert!(telling.users.len() <= MOST_USERS && telling.subscriptions == 5);
        steps.push(truth.taken(&telling, 1).unwrap().step);
    }
    assert_eq!((told.join(""), steps), ("abcde".to_owned(), vec![0, 0, step.unwrap()]));
    truth.tell_everything(START);
    let partition = Partition::of(&channel("presence-a"));
    let mut whole = 0;
    while let Some(work) = truth.next(NODE, START) {
        match work {
            Work::List(part, number) => truth.listed(part, number, vec![], START),
            Work::Tell(telling) => {
                whole += usize::from(telling.whole);
                truth.answered(partition, telling.number, Told::Taken(2), START);
            }
        }
    }
    assert!(whole == 0 && truth.is_told());
    truth.is_said(&channel("presence-a"), ["a", "b", "c", "d", "e", "x"].into_iter(), START);
    assert_eq!(users(&truth.telling(START).unwrap()), [("x", false, false)], "taken back");
}

#[test]
fn what_was_confirmed_and_is_not_said_any_more_is_told_again() {
    let mut truth = Truth::default();
    let _ = ["a", "b"].map(|user| truth.come("presence-a", Some(user)));
    let telling = truth.telling(START).unwrap();
    truth.taken(&telling, 1);
    let name = channel("presence-a");
    truth.is_said(&name, ["a", "b"].into_iter(), START);
    assert!(truth.is_told(), "nothing is lost");
    truth.is_said(&name, ["b"].into_iter(), START);
    let telling = truth.telling(START).unwrap();
    let mut told = users(&telling);
    told.sort_unstable();
    assert_eq!((telling.whole, told), (true, vec![("a", true, true), ("b", true, true)]));
    truth.taken(&telling, 2);
    truth.is_not_said(&name, START);
    assert!(truth.telling(START).unwrap().whole);
}

#[test]
fn a_node_that_has_just_begun_takes_back_what_is_said_of_it_once() {
    let mut truth = Truth::default();
    truth.tell_everything(START);
    let mut told = 0;
    while let Some(work) = truth.next(NODE, START) {
        match work {
            Work::List(part, number) => truth.listed(part, number, vec![channel("a")], START),
            Work::Tell(telling) => {
                truth.taken(&telling, 1);
                told += 1;
            }
        }
        assert!(told < 10);
    }
    assert_eq!((told, truth.channels.len()), (1, 0));
}

/// What the place has taken of the node.
#[derive(Clone, Default)]
struct Place {
    number: BTreeMap<usize, u64>,
    subscriptions: BTreeMap<String, u64>,
    users: BTreeSet<(String, String)>,
}

impl Place {
    fn take(&mut self, telling: &Telling) -> Told {
        let number = self.number.entry(Partition::of(&telling.channel).index()).or_default();
        if telling.number <= *number {
            return Told::Stale(*number);
        }
        *number = telling.number;
        let name = telling.channel.to_string();
        if telling.whole {
            self.users.retain(|(channel, _)| *channel != name);
        }
        for claim in &telling.users {
            let key = (name.clone(), claim.user_id.clone());
            if claim.member.is_some() {
                self.users.insert(key)
            } else {
                self.users.remove(&key)
            };
        }
        self.subscriptions.insert(name, telling.subscriptions);
        self.subscriptions.retain(|_, count| *count > 0);
        Told::Taken(1)
    }

    fn channels(&self, partition: Partition) -> Vec<ChannelName> {
        let names = self.subscriptions.keys().map(|name| channel(name));
        names.filter(|name| Partition::of(name) == partition).collect()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Join(usize, usize),
    Leave(usize),
    /// The next work is done, and what becomes of the answer.
    Work(Fate),
    /// Bytes of a link of before arrive.
    Late,
    /// A new link, to a place that remembers everything, nothing, or what it knew some time ago.
    Link(Memory),
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    AnswerLost,
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Memory {
    Kept,
    Empty,
    Old,
}

const NAMES: [&str; 3] = ["presence-a", "presence-b", "plain"];
const USERS: [&str; 3] = ["x", "y", "z"];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let fate = prop_oneof![4 => Just(Fate::Answered), 1 => Just(Fate::AnswerLost), 1 => Just(Fate::Lost)];
    let memory = prop_oneof![Just(Memory::Kept), Just(Memory::Empty), Just(Memory::Old)];
    let event = prop_oneof![
        6 => (0..3usize, 0..3usize).prop_map(|(name, user)| Event::Join(name, user)),
        4 => (0..100usize).prop_map(Event::Leave),
        8 => fate.prop_map(Event::Work),
        1 => Just(Event::Late),
        1 => memory.prop_map(Event::Link),
    ];
    prop::collection::vec(event, 1..120)
}

fn member(name: &str, user: usize) -> Option<&'static str> {
    name.starts_with("presence-").then_some(USERS[user])
}

/// Everything that can happen to what a node says.
#[derive(Default)]
struct World {
    truth: Truth,
    place: Place,
    old: Place,
    inside: Vec<(usize, usize)>,
    late: Vec<Telling>,
    now: Duration,
}

impl World {
    fn happen(&mut self, event: &Event) {
        self.now += Duration::from_millis(30);
        match event {
            Event::Join(name, user) => {
                self.inside.push((*name, *user));
                let (name, id) = (NAMES[*name], member(NAMES[*name], *user));
                let json = id.map(json);
                self.truth.joined(&channel(name), id.zip(json.as_ref()), self.now);
            }
            Event::Leave(index) if !self.inside.is_empty() => {
                let (name, user) = self.inside.swap_remove(index % self.inside.len());
                self.truth.left(&channel(NAMES[name]), member(NAMES[name], user), self.now);
            }
            Event::Leave(_) => {}
            Event::Work(fate) => drop(self.work(*fate)),
            Event::Late => {
                if let Some(telling) = self.late.pop() {
                    self.place.take(&telling);
                }
            }
            Event::Link(memory) => {
                match memory {
                    Memory::Kept => self.old = self.place.clone(),
                    Memory::Empty => self.place = Place::default(),
                    Memory::Old => self.place = self.old.clone(),
                }
                // Links end with the process that they led to: only one that lives on hears what was on its way.
                if !matches!(memory, Memory::Kept) {
                    self.late.clear();
                }
                self.truth.tell_everything(self.now);
            }
        }
    }

    /// A snapshot is read, as after each reconnect: whole tellings are for small channels only.
    fn look(&mut self) {
        for name in NAMES {
            let said = self.place.users.iter().filter(|(channel, _)| channel == name);
            self.truth.is_said(&channel(name), said.map(|(_, user)| user.as_str()), self.now);
        }
    }

    /// True when there was something to do.
    fn work(&mut self, fate: Fate) -> bool {
        let Some(work) = self.truth.next(NODE, self.now) else { return false };
        match (work, fate) {
            (Work::List(partition, number), Fate::Answered) => {
                self.truth.listed(partition, number, self.place.channels(partition), self.now);
            }
            (Work::List(partition, number), _) => self.truth.failed(partition, number, self.now),
            (Work::Tell(telling), fate) => self.tell(telling, fate),
        }
        true
    }

    fn tell(&mut self, telling: Telling, fate: Fate) {
        let (partition, number) = (Partition::of(&telling.channel), telling.number);
        match fate {
            Fate::Answered => {
                let told = self.place.take(&telling);
                self.truth.answered(partition, number, told, self.now);
            }
            Fate::AnswerLost => {
                self.place.take(&telling);
                self.truth.failed(partition, number, self.now);
            }
            Fate::Lost => {
                self.late.push(telling);
                self.truth.failed(partition, number, self.now);
            }
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_the_place_knows_exactly_what_is_so(events in events()) {
        let mut world = World::default();
        events.iter().for_each(|event| world.happen(event));
        world.now += Duration::from_secs(1);
        while world.work(Fate::Answered) {}
        world.look();
        while world.work(Fate::Answered) {}
        prop_assert!(world.truth.is_told());
        world.late.drain(..).for_each(|telling| {
            world.place.take(&telling);
        });
        let mut subscriptions: BTreeMap<String, u64> = BTreeMap::new();
        let mut users = BTreeSet::new();
        for (name, user) in &world.inside {
            *subscriptions.entry(NAMES[*name].to_owned()).or_default() += 1;
            users.extend(member(NAMES[*name], *user).map(|id| (NAMES[*name].to_owned(), id.to_owned())));
        }
        prop_assert_eq!(&world.place.subscriptions, &subscriptions);
        prop_assert_eq!(&world.place.users, &users);
        prop_assert_eq!(world.truth.channels.len(), subscriptions.len(), "nothing is kept of what is over");
    }

    #[test]
    fn a_change_costs_one_telling_of_one_user_at_most(events in events()) {
        let mut world = World::default();
        let (mut changes, mut tellings, mut claims) = (0, 0, 0);
        for event in events.iter().filter(|event| !matches!(event, Event::Late | Event::Link(_))) {
            if let Event::Work(_) = event {
                world.now += Duration::from_millis(30);
                if let Some(Work::Tell(telling)) = world.truth.next(NODE, world.now) {
                    (tellings, claims) = (tellings + 1, claims + telling.users.len());
                    world.tell(telling, Fate::Answered);
                }
            } else {
                changes += 1;
                world.happen(event);
            }
        }
        prop_assert!(tellings <= changes && claims <= changes);
    }
}
