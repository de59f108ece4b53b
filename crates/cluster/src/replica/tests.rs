//! A replica against the place that orders facts: whatever is lost on the way, both end up the same.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const OWN: Origin = Origin(1);

fn member(user: &str) -> Bytes {
    Bytes::from(format!(r#"{{"user_id":"{user}"}}"#))
}

fn fact(node: u128, user: &str, present: bool) -> Fact {
    Fact { node: Origin(node), user_id: user.to_owned(), member: present.then(|| member(user)) }
}

fn enter(user: &str) -> Change {
    Change::Enter(user.to_owned(), member(user))
}

fn exit(user: &str) -> Change {
    Change::Exit(user.to_owned())
}

fn delta(follows: Version, version: Version, facts: &[Fact]) -> Delta {
    Delta { follows, version, facts: facts.to_vec(), count: None, gone: None }
}

fn holding(version: Version, facts: &[Fact]) -> Replica {
    let mut replica = Replica::new(Identity::new(OWN));
    replica.on_subscribed();
    replica.on_snapshot(Snapshot { version, facts: facts.to_vec(), ..Snapshot::default() }, Absence::Leaving);
    replica
}

#[test]
fn deltas_follow_each_other() {
    let mut replica = holding(10, &[fact(2, "a", true)]);
    assert_eq!(replica.on_delta(delta(10, 12, &[fact(3, "a", true)])).changes, [enter("a")]);
    assert_eq!(replica.on_delta(delta(12, 13, &[fact(2, "a", false)])).changes, [exit("a")]);
    assert_eq!(replica.on_delta(delta(12, 13, &[fact(2, "a", false)])), Followed::default(), "a repeat");
    assert_eq!(
        replica.on_delta(delta(13, 14, &[fact(1, "own", true)])).changes,
        [],
        "about itself it knows better"
    );
}

#[test]
fn a_hole_is_healed_by_a_snapshot_and_told_as_a_difference() {
    let mut replica = holding(10, &[fact(2, "a", true), fact(2, "b", true)]);
    assert!(replica.on_delta(delta(11, 12, &[fact(2, "c", true)])).read_snapshot);
    assert_eq!(replica.on_delta(delta(12, 13, &[fact(2, "d", true)])), Followed::default(), "asked for once");
    let facts = vec![fact(2, "a", true), fact(3, "b", true), fact(2, "c", true)];
    let followed =
        replica.on_snapshot(Snapshot { version: 12, facts, ..Snapshot::default() }, Absence::Leaving);
    assert_eq!(followed.changes, [enter("b"), enter("c"), exit("b"), enter("d")]);
    assert_eq!((followed.read_snapshot, replica.version), (false, Some(13)));
}

#[test]
fn an_older_snapshot_is_adopted_too() {
    let mut replica = holding(10, &[fact(2, "a", true)]);
    replica.on_subscribed();
    assert_eq!(
        replica
            .on_snapshot(Snapshot { version: 4, facts: vec![], ..Snapshot::default() }, Absence::Leaving)
            .changes,
        [exit("a")]
    );
    assert_eq!(replica.on_delta(delta(4, 5, &[fact(2, "b", true)])).changes, [enter("b")]);
}

#[test]
fn the_dead_are_gone_with_everybody_they_had() {
    let mut replica = holding(10, &[fact(2, "a", true), fact(3, "a", true), fact(2, "b", true)]);
    assert_eq!(replica.on_death(Origin(2)), [exit("a"), exit("b")]);
    assert_eq!(replica.on_death(Origin(2)), []);
}

#[test]
fn a_death_is_told_in_its_place_among_the_changes() {
    let mut replica = holding(10, &[fact(2, "a", true), fact(3, "a", true), fact(2, "b", true)]);
    let death = |follows, version| Delta { gone: Some(Origin(2)), ..delta(follows, version, &[]) };
    assert!(replica.on_delta(death(11, 12)).read_snapshot, "something was missed before it");
    let both = vec![fact(2, "b", true), fact(2, "c", true)];
    let followed =
        replica.on_snapshot(Snapshot { version: 11, facts: both, ..Snapshot::default() }, Absence::Leaving);
    assert_eq!(followed.changes, [enter("c"), exit("a"), exit("a"), exit("b"), exit("c")]);
    assert_eq!(replica.on_delta(death(11, 12)), Followed::default(), "a repeat");
}

#[test]
fn whoever_is_missing_from_a_memory_that_may_be_new_is_kept_until_that_is_sure() {
    let mut replica = holding(10, &[fact(2, "a", true), fact(2, "b", true), fact(2, "c", true)]);
    replica.on_subscribed();
    let fresh = Snapshot { version: 20, facts: vec![fact(3, "d", true)], ..Snapshot::default() };
    assert_eq!(replica.on_snapshot(fresh, Absence::Doubtful).changes, [enter("d")]);
    assert!(replica.is_doubtful());
    assert_eq!(replica.on_delta(delta(20, 21, &[fact(2, "a", true)])).changes, [], "never away");
    assert_eq!(
        replica.on_delta(delta(21, 22, &[fact(2, "b", false)])).changes,
        [exit("b")],
        "left expressly"
    );
    replica.on_subscribed();
    let later =
        Snapshot { version: 22, facts: vec![fact(2, "a", true), fact(3, "d", true)], ..Snapshot::default() };
    assert_eq!(replica.on_snapshot(later, Absence::Leaving).changes, [exit("c")]);
    assert!(!replica.is_doubtful());
}

#[test]
fn former_ids_are_its_own_as_well() {
    let own = Identity::new(OWN);
    let mut replica = Replica::new(own.clone());
    replica.on_subscribed();
    assert!(own.give_up(OWN));
    let node = own.current().0;
    let facts = vec![fact(OWN.0, "a", true), fact(node, "a", true), fact(2, "b", true)];
    assert_eq!(
        replica.on_snapshot(Snapshot { version: 1, facts, ..Snapshot::default() }, Absence::Leaving).changes,
        [enter("b")]
    );
}

#[test]
fn subscriptions_of_other_nodes_are_added_up() {
    let counted = |follows, version, node, count| Delta {
        count: Some((Origin(node), count)),
        ..delta(follows, version, &[])
    };
    let mut replica = holding(10, &[]);
    replica.on_delta(counted(10, 11, 2, 5));
    replica.on_delta(counted(11, 12, 3, 2));
    replica.on_delta(counted(12, 13, OWN.0, 100));
    assert_eq!(replica.subscriptions(), 7);
    replica.on_delta(counted(13, 14, 3, 0));
    assert_eq!(replica.subscriptions(), 5);
    replica.on_subscribed();
    let counts = vec![(Origin(4), 3), (OWN, 9)];
    let fresh = || Snapshot { version: 20, counts: counts.clone(), ..Snapshot::default() };
    replica.on_snapshot(fresh(), Absence::Doubtful);
    assert!(replica.is_doubtful(), "node 2 is missing");
    assert_eq!(replica.subscriptions(), 5, "node 4 may be node 2 under another id");
    replica.on_delta(counted(20, 21, 5, 4));
    assert_eq!(replica.subscriptions(), 7);
    replica.on_subscribed();
    replica.on_snapshot(fresh(), Absence::Leaving);
    assert_eq!(replica.subscriptions(), 3);
}

#[test]
fn who_is_not_in_a_whole_word_of_a_node_is_gone() {
    let mut replica = holding(10, &[fact(2, "a", true), fact(3, "a", true), fact(2, "b", true)]);
    let whole = Delta { gone: Some(Origin(2)), ..delta(10, 11, &[fact(2, "b", true), fact(2, "c", true)]) };
    assert_eq!(replica.on_delta(whole).changes, [exit("a"), enter("c")]);
    assert_eq!(replica.members().map(|(user, _)| user).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn too_many_changes_during_a_look_make_it_look_again() {
    let mut replica = Replica::new(Identity::new(OWN));
    replica.on_subscribed();
    let asked = (0..1_000).filter(|version| {
        replica.on_delta(delta(*version, version + 1, &[fact(2, "a", true)])).read_snapshot
    });
    assert_eq!(asked.count(), 3);
    let snapshot = Snapshot { version: 900, ..Snapshot::default() };
    assert!(!replica.on_snapshot(snapshot, Absence::Leaving).read_snapshot);
    assert_eq!(replica.version(), Some(1_000));
}

/// The facts of all nodes, ordered.
#[derive(Default)]
struct Place {
    version: Version,
    facts: BTreeSet<(u128, u8)>,
}

impl Place {
    fn change(&mut self, node: u128, user: u8, present: bool) -> Option<Delta> {
        let changed =
            if present { self.facts.insert((node, user)) } else { self.facts.remove(&(node, user)) };
        let follows = self.version;
        self.version += 1 + u64::from(user);
        changed.then(|| delta(follows, self.version, &[fact(node, &user.to_string(), present)])).or_else(
            || {
                self.version = follows;
                None
            },
        )
    }

    fn snapshot(&self) -> Snapshot {
        let facts = self.facts.iter().map(|(node, user)| fact(*node, &user.to_string(), true)).collect();
        Snapshot { version: self.version, facts, ..Snapshot::default() }
    }
}

proptest! {
    /// Deltas are delivered or lost; snapshots come late. In the end the clients have heard exactly the difference.
    #[test]
    fn what_clients_heard_adds_up_to_what_is_so(steps in prop::collection::vec((1u128..4, 0u8..4, any::<bool>(), 0u8..4), 1..80)) {
        let mut place = Place::default();
        let mut replica = Replica::new(Identity::new(OWN));
        let mut told: BTreeMap<String, i32> = BTreeMap::new();
        let mut pending = Some(place.snapshot());
        replica.on_subscribed();
        let hear = |followed: Followed, told: &mut BTreeMap<String, i32>| {
            for change in followed.changes {
                let (user, by) = match change {
                    Change::Enter(user, _) => (user, 1),
                    Change::Exit(user) => (user, -1),
                };
                *told.entry(user).or_default() += by;
            }
            followed.read_snapshot
        };
        for (node, user, present, fate) in steps {
            let absence = if user % 2 == 0 { Absence::Leaving } else { Absence::Doubtful };
            if let Some(delta) = place.change(node, user, present)
                && fate > 0
                && hear(replica.on_delta(delta), &mut told)
            {
                pending = Some(place.snapshot());
            }
            if fate == 3 && let Some(snapshot) = pending.take() && hear(replica.on_snapshot(snapshot, absence), &mut told) {
                pending = Some(place.snapshot());
            }
        }
        replica.on_subscribed();
        prop_assert!(!hear(replica.on_snapshot(place.snapshot(), Absence::Leaving), &mut told));
        told.retain(|_, count| *count != 0);
        let mut expected: BTreeMap<String, i32> = BTreeMap::new();
        for (node, user) in &place.facts {
            if *node != OWN.0 {
                *expected.entry(user.to_string()).or_default() += 1;
            }
        }
        prop_assert_eq!(told, expected);
    }
}
