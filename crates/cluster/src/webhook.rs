//! Webhooks that are decided once for the cluster: what is kept of them where nodes meet, and the seam to that place.
//!
//! The decision is made where facts change, in the same step, and leaves a [`Record`] with the node that made the change.
//! The node is handed its records when they are due, sends them in batches, and settles them once every endpoint has taken
//! them or was given up. A batch is kept as a [`Parcel`] before it is sent for the first time, so whoever repeats it after a
//! crash sends the same bytes. What a dead node leaves goes to its successor. [`crate::node::hooks`] drives this.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use gema_protocol::channel::ChannelName;
use gema_protocol::webhook::{Kind, Kinds};

use crate::engine::EngineError;
use crate::entry::Origin;
use crate::field::{put, take};
use crate::name::Partition;

/// Records that a node is handed at a time.
pub const AT_ONCE: usize = 500;
/// Bytes that a kept batch may have; anything larger is none of ours.
pub const LONGEST_PARCEL: usize = 16 * 1024 * 1024;
/// Bytes of a channel's name in a record.
const LONGEST_NAME: usize = 4_096;
/// First byte of every parcel. A node skips what it does not know.
const VERSION: u8 = 1;

/// An answer on its way.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

/// Which webhooks are decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Of these kinds; a coming and its going together.
    pub kinds: Kinds,
    /// How long a channel may be empty, or a user away, before a record says so.
    pub grace: Duration,
}

impl Rules {
    /// As `hooks.lua` knows them: c(hannels), m(embers), s(ubscription counts).
    #[must_use]
    pub fn letters(&self) -> String {
        let all = [('c', Kind::ChannelOccupied), ('m', Kind::MemberAdded), ('s', Kind::SubscriptionCount)];
        all.into_iter().filter(|(_, kind)| self.kinds.contains(*kind)).map(|(letter, _)| letter).collect()
    }
}

/// Where a record stands among those of its partition: in the order of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place {
    /// When it happened, or was due, in microseconds since 1970 by the clock that all nodes share.
    pub time: u64,
    /// The record's number in its partition.
    pub id: u64,
}

/// A webhook that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// What happened.
    pub kind: Kind,
    /// Where.
    pub channel: ChannelName,
    /// To whom; empty for what happens to a channel.
    pub user: String,
    /// The number of subscriptions, if the kind has one.
    pub count: u64,
    /// Endpoints that have it already.
    pub taken_by: Vec<String>,
}

impl Record {
    /// Where it lies.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition::of(&self.channel)
    }

    /// What its proof is sealed for.
    #[must_use]
    pub fn subject(&self) -> String {
        subject(&self.channel, &self.user)
    }

    /// Reads `kind count proof marks channel user`, as `hooks.lua` writes it; with the proof, in hex.
    #[must_use]
    pub fn parse(place: Place, text: &str) -> Option<(Self, &str)> {
        let mut fields = text.splitn(6, ' ');
        let mut field = || fields.next();
        let (kind, count, proof, marks) = (kind_of(field()?)?, field()?.parse().ok()?, field()?, field()?);
        let channel = ChannelName::parse(field()?, LONGEST_NAME).ok()?;
        let user = field()?.to_owned();
        let has_user = matches!(kind, Kind::MemberAdded | Kind::MemberRemoved);
        let taken_by = marks.split('-').filter(|mark| !mark.is_empty()).map(str::to_owned).collect();
        let record = Self { place, kind, channel, user, count, taken_by };
        (has_user != record.user.is_empty()).then_some((record, proof))
    }
}

/// A channel, or a user in it.
#[must_use]
pub fn subject(channel: &ChannelName, user: &str) -> String {
    if user.is_empty() { channel.to_string() } else { format!("{channel}/{user}") }
}

fn kind_of(letter: &str) -> Option<Kind> {
    match letter {
        "o" => Some(Kind::ChannelOccupied),
        "v" => Some(Kind::ChannelVacated),
        "a" => Some(Kind::MemberAdded),
        "r" => Some(Kind::MemberRemoved),
        "s" => Some(Kind::SubscriptionCount),
        _ => None,
    }
}

/// A batch as it is kept: all that a repeat needs to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Which endpoint it is for, as all nodes call it.
    pub endpoint: String,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// The body of the request, byte for byte.
    pub body: Bytes,
    /// The channels of its events, each with the record's place if there is a record.
    pub events: Vec<(ChannelName, Option<Place>)>,
}

impl Parcel {
    /// Its bytes, unsealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 64 + 64 * self.events.len());
        out.put_u8(VERSION);
        out.put_u64(self.made_ms);
        put(&mut out, self.endpoint.as_bytes());
        put(&mut out, &self.body);
        for (channel, place) in &self.events {
            put(&mut out, channel.as_bytes());
            let place = place.unwrap_or_default();
            out.put_u64(place.time);
            out.put_u64(place.id);
        }
        out
    }

    /// Reads what [`Parcel::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let made_ms = bytes.try_get_u64().ok()?;
        let endpoint = str::from_utf8(&take(&mut bytes)?).ok()?.to_owned();
        let body = take(&mut bytes)?;
        str::from_utf8(&body).ok()?;
        let mut events = Vec::new();
        while bytes.has_remaining() {
            let channel = ChannelName::parse(str::from_utf8(&take(&mut bytes)?).ok()?, LONGEST_NAME).ok()?;
            let place = Place { time: bytes.try_get_u64().ok()?, id: bytes.try_get_u64().ok()? };
            events.push((channel, (place.id > 0).then_some(place)));
        }
        Some(Self { endpoint, made_ms, body, events })
    }
}

/// What a node is handed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// In no order.
    pub records: Vec<Record>,
    /// When there is more; `None`: not before something else happens.
    pub next: Option<Duration>,
    /// Records for which there was no room since the last time.
    pub lost: u64,
}

/// A record that needs nothing more of one endpoint, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which record.
    pub place: Place,
    /// The endpoint; `None`: all of them.
    pub endpoint: Option<String>,
}

/// The node was declared dead: what it had is another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead;

/// The webhooks of one app where nodes meet; a part of [`crate::engine::Engine`].
pub trait Webhooks: Send + Sync {
    /// From now on, what is told through this engine is decided about.
    fn decide(&self, rules: Rules);

    /// Hands a node what is due in a partition.
    fn take(&self, node: Origin, partition: Partition) -> Answer<'_, Result<Taken, Dead>>;

    /// Reads again what a node was handed after a place, at most [`AT_ONCE`] records, in order.
    fn handed(&self, node: Origin, partition: Partition, after: Option<Place>) -> Answer<'_, Vec<Record>>;

    /// Forgets or marks records. When there is more for the node comes back.
    fn settle<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        settled: &'a [Settled],
    ) -> Answer<'a, Result<Option<Duration>, Dead>>;

    /// Keeps a batch under its delivery id.
    fn keep<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        delivery: &'a str,
        parcel: &'a Parcel,
    ) -> Answer<'a, Result<(), Dead>>;

    /// Forgets a batch.
    fn drop_kept<'a>(&'a self, node: Origin, partition: Partition, delivery: &'a str) -> Answer<'a, ()>;

    /// The batches that a node has not finished, each under its delivery id.
    fn kept(&self, node: Origin, partition: Partition) -> Answer<'_, Vec<(String, Parcel)>>;

    /// Who takes over what a dead node leaves: the first who asks. `not`: somebody who has died since.
    fn successor(&self, dead: Origin, candidate: Origin, not: Option<Origin>) -> Answer<'_, Origin>;

    /// Gives some of a dead node's records and its batches to its successor: how many. Call it until there is none.
    fn adopt(&self, dead: Origin, successor: Origin, partition: Partition) -> Answer<'_, Result<u64, Dead>>;
}

/// Gives all that a dead node leaves to its successor, whoever calls this and however many do. The successor comes back.
///
/// # Errors
/// When the place does not answer; call it again.
pub async fn take_over<E: Webhooks + ?Sized>(
    engine: &E,
    dead: Origin,
    own: Origin,
) -> Result<Origin, EngineError> {
    let mut successor = engine.successor(dead, own, None).await?;
    for partition in Partition::all() {
        loop {
            match engine.adopt(dead, successor, partition).await? {
                Ok(0) => break,
                Ok(_) => {}
                Err(Dead) if successor == own => return Ok(own),
                Err(Dead) => successor = engine.successor(dead, own, Some(successor)).await?,
            }
        }
    }
    Ok(successor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_is_written() {
        let place = Place { time: 5, id: 4 };
        let (record, proof) = Record::parse(place, "r 0 ab12 -e1-e2- presence-c a b\n").unwrap();
        assert_eq!((record.kind, &*record.user, proof), (Kind::MemberRemoved, "a b\n", "ab12"));
        assert_eq!(
            (record.taken_by, record.channel),
            (vec!["e1".into(), "e2".into()], channel("presence-c"))
        );
        let (record, _) = Record::parse(place, "s 7 ab - c ").unwrap();
        assert_eq!(
            (record.kind, record.count, record.subject()),
            (Kind::SubscriptionCount, 7, "c".to_owned())
        );
        for wrong in
            ["", "x 0 a - c ", "o 0 a - c", "o 0 a - c user", "r 0 a - c ", "o -1 a - c ", "o 0 a - c/d "]
        {
            assert_eq!(Record::parse(place, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn rules_are_letters() {
        let rules = |kinds: &[Kind]| Rules { kinds: kinds.iter().copied().collect(), grace: Duration::ZERO };
        assert_eq!(rules(&Kind::ALL).letters(), "cms");
        assert_eq!(rules(&[Kind::MemberAdded, Kind::CacheMiss]).letters(), "m");
    }

    proptest! {
        #[test]
        fn a_parcel_is_read_as_it_is_written(body in ".{0,40}", made_ms: u64, places in prop::collection::vec(any::<Option<(u64, u64)>>(), 0..5)) {
            let place = |(time, id): (u64, u64)| Place { time, id: id.max(1) };
            let events = places.into_iter().map(|at| (channel("c"), at.map(place))).collect();
            let parcel = Parcel { endpoint: "e".into(), made_ms, body: body.into(), events };
            prop_assert_eq!(Parcel::decode(parcel.encode().into()), Some(parcel));
        }
    }
}
