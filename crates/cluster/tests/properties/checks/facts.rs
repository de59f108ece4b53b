//! What nodes say of their clients, and what becomes of a stream of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use gema_cluster::entry::Origin;
use gema_cluster::identity::Identity;
use gema_cluster::replica::{Absence, Change, Delta, Fact, Replica, Snapshot};
use gema_cluster::telling::{Claim, Telling, decode};
use gema_protocol::channel::ChannelName;

use super::messages;

/// What is a change is written again byte for byte.
pub(super) fn change(bytes: &[u8]) {
    let Ok(delta) = decode(Bytes::copy_from_slice(bytes), 3, 4) else { return };
    let (node, subscriptions) = delta.count.expect("a node always says how many");
    let claim =
        |fact: &Fact| Claim { user_id: fact.user_id.clone(), member: fact.member.clone(), known: false };
    let telling = Telling {
        node,
        number: 1,
        channel: ChannelName::parse("presence-a", 200).expect("a name"),
        subscriptions,
        known: false,
        whole: delta.gone.is_some(),
        users: delta.facts.iter().map(claim).collect(),
    };
    assert_eq!(telling.encode(), bytes);
    assert_eq!(telling.delta(3, 4), delta);
}

/// Changes one after the other: the replica has what a naive map has, and the members that the listener was told.
pub(super) fn followed(bytes: &[u8]) {
    let own = Origin(1);
    let mut replica = Replica::new(Identity::new(own));
    replica.on_subscribed();
    replica.on_snapshot(Snapshot::default(), Absence::Leaving);
    let (mut facts, mut told) = (BTreeMap::new(), BTreeMap::<String, i64>::new());
    for (index, message) in messages(bytes).into_iter().enumerate() {
        let (before, after) = (index as u64, index as u64 + 1);
        let empty = Delta { follows: before, version: after, facts: Vec::new(), count: None, gone: None };
        let delta = decode(message, before, after).unwrap_or(empty);
        apply(&mut facts, &delta, own);
        let followed = replica.on_delta(delta);
        assert!(!followed.read_snapshot, "nothing is missing");
        for change in followed.changes {
            match change {
                Change::Enter(user, _) => *told.entry(user).or_default() += 1,
                Change::Exit(user) => *told.entry(user).or_default() -= 1,
            }
        }
        let expected =
            facts.iter().map(|((user, _), member): (&(String, _), &Bytes)| (user.as_str(), member));
        assert!(replica.members().eq(expected));
        for (user, count) in &told {
            assert_eq!(
                usize::try_from(*count),
                Ok(facts.keys().filter(|(of, _)| of == user).count()),
                "{user}"
            );
        }
    }
}

fn apply(facts: &mut BTreeMap<(String, Origin), Bytes>, delta: &Delta, own: Origin) {
    if let Some(gone) = delta.gone {
        let claimed =
            |user: &str| delta.facts.iter().any(|fact| fact.user_id == user && fact.member.is_some());
        facts.retain(|(user, node), _| *node != gone || claimed(user));
    }
    for fact in delta.facts.iter().filter(|fact| fact.node != own) {
        let key = (fact.user_id.clone(), fact.node);
        match &fact.member {
            Some(member) => drop(facts.insert(key, member.clone())),
            None => drop(facts.remove(&key)),
        }
    }
}
