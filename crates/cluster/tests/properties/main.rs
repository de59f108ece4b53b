//! Properties of what comes out of Redis: for any bytes, with inputs made up by proptest. What holds is in [`checks`], which
//! the fuzz target shares.

#![expect(clippy::expect_used, reason = "a property that cannot be evaluated shall fail its test")]

mod checks;

use bytes::Bytes;
use gema_cluster::entry::{Entry, Event, Origin, Published};
use gema_cluster::telling::{Claim, Telling};
use gema_cluster::webhook::{Parcel, Place};
use gema_protocol::channel::ChannelName;
use gema_protocol::socket_id::SocketId;
use proptest::prelude::*;

fn channel() -> ChannelName {
    ChannelName::parse("presence-a", 200).expect("a name")
}

/// An entry of one of three nodes.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let event = (any::<u64>(), ".{0,20}", any::<Option<[u8; 16]>>(), any::<bool>()).prop_map(
        |(at_ms, text, except, keep)| {
            let event = Event { text: text.into(), except: except.map(SocketId::from_random), keep };
            Published { at_ms, event }
        },
    );
    (1_u128..4, 0_u64..20, prop::collection::vec(event, 0..4))
        .prop_map(|(origin, sequence, events)| Entry { origin: Origin(origin), sequence, events }.encode())
}

/// What one of three nodes says of a few users.
fn change() -> impl Strategy<Value = Vec<u8>> {
    let claim = ("[a-c]{0,1}", any::<Option<u8>>()).prop_map(|(user_id, info)| {
        let member = info.map(|info| Bytes::from(format!(r#"{{"user_info":{info}}}"#)));
        Claim { user_id, member, known: false }
    });
    (1_u128..4, 0_u64..9, any::<bool>(), prop::collection::vec(claim, 0..4)).prop_map(
        |(node, subscriptions, whole, users)| {
            let node = Origin(node);
            Telling { node, number: 1, channel: channel(), subscriptions, known: false, whole, users }
                .encode()
        },
    )
}

fn parcel() -> impl Strategy<Value = Vec<u8>> {
    let places = prop::collection::vec(any::<Option<(u64, u64)>>(), 0..4);
    (any::<u64>(), ".{0,20}", places).prop_map(|(made_ms, body, places)| {
        let place = |(time, id)| Place { time, id };
        let events = places.into_iter().map(|at| (channel(), at.map(place))).collect();
        Parcel { endpoint: "e".to_owned(), made_ms, body: body.into(), events }.encode()
    })
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let wrong = "[ovarsx] [0-9]{0,4} [0-9a-f]{0,8} [-a-z0-9]{1,6} [a-z/-]{1,9} [a-z ]{0,6}";
    let right = "[ar] [0-9]{1,4} [0-9a-f]{8} -([a-z0-9]{1,2}-){0,2} [a-z-]{1,9} [a-z ]{1,6}";
    prop_oneof![wrong, right].prop_map(String::into_bytes)
}

/// A few messages, each with what goes before it, behind its length; [`checks`] cuts them apart.
fn several(message: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let behind_length = |message: Vec<u8>| {
        let length = u16::try_from(message.len()).expect("a short message");
        [&length.to_be_bytes(), &message[..]].concat()
    };
    prop::collection::vec(message.prop_map(behind_length), 0..12).prop_map(|all| all.concat())
}

/// As somebody may have changed it: bytes replaced, put in or taken out, or the end cut off.
fn changed(message: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..3);
    (message, changes).prop_map(|(mut bytes, changes)| {
        // Never empty: the change itself leaves at least a byte.
        let changes = if bytes.is_empty() { Vec::new() } else { changes };
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

/// One input of each kind, in the order of [`checks::CHECKS`].
fn input() -> impl Strategy<Value = Vec<u8>> {
    let numbered = (any::<u8>(), entry()).prop_map(|(number, entry)| [vec![number], entry].concat());
    let kinds = [
        entry().boxed(),
        several(numbered).boxed(),
        change().boxed(),
        several(change()).boxed(),
        parcel().boxed(),
        record().boxed(),
    ];
    let chosen = kinds.into_iter().zip(0_u8..).map(|(kind, number)| {
        let message = prop_oneof![3 => changed(kind), 1 => prop::collection::vec(any::<u8>(), 0..200)];
        message.prop_map(move |message| [vec![number], message].concat()).boxed()
    });
    prop::strategy::Union::new(chosen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn whatever_comes_out_of_redis_is_read_as_it_was_written_or_not_at_all(input in input()) {
        checks::check(&input);
    }
}

/// The strategies are worth something only if most of what they make up is what the checks are about.
#[test]
fn what_is_written_is_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..64 {
        let mut one = |strategy: BoxedStrategy<Vec<u8>>| {
            Bytes::from(strategy.new_tree(&mut runner).expect("an input").current())
        };
        assert!(Entry::decode(one(entry().boxed())).is_ok());
        assert!(gema_cluster::telling::decode(one(change().boxed()), 0, 1).is_ok());
        assert!(Parcel::decode(one(parcel().boxed())).is_some());
    }
}
