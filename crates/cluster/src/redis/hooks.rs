//! Webhooks in Redis: records that `facts.lua` leaves in a channel's partition, and batches. See [`crate::webhook`].

use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use futures_util::FutureExt;

use super::Redis;
use super::commands::{fields, fresh_epoch, node_field};
use super::script::Script;
use crate::engine::{EngineError, Notice};
use crate::entry::Origin;
use crate::name::Partition;
use crate::telling::Telling;
use crate::webhook::{
    AT_ONCE, Answer, Dead, LONGEST_PARCEL, Parcel, Place, Record, Rules, Settled, Taken, Webhooks, subject,
};

/// Of [`Redis::record_keys`].
const RECORD_TYPES: &[&str] = &["hash", "hash", "zset", "string"];
static TAKE: Script =
    Script::over(RECORD_TYPES, concat!(include_str!("hooks.lua"), include_str!("take.lua")));
static HANDED: Script =
    Script::over(RECORD_TYPES, concat!(include_str!("hooks.lua"), include_str!("handed.lua")));
static SETTLE: Script =
    Script::over(RECORD_TYPES, concat!(include_str!("hooks.lua"), include_str!("settle.lua")));
static ADOPT: Script = Script::over(
    &["hash", "hash", "zset", "hash", "string"],
    concat!(include_str!("hooks.lua"), include_str!("adopt.lua")),
);
static KEEP: Script = Script::over(&["hash", "string"], include_str!("keep.lua"));
static KEPT: Script = Script::over(&["hash"], include_str!("kept.lua"));
static DROP: Script = Script::over(&["hash"], "return redis.call('HDEL', KEYS[1], ARGV[1])");
static SUCCESSOR: Script = Script::over(&["string"], include_str!("successor.lua"));

/// When Redis was last sure of what a node told of a channel.
#[derive(Clone, Copy)]
pub(super) struct Relied {
    epoch: u64,
    node: Origin,
    number: u64,
}

impl Webhooks for Redis {
    fn decide(&self, rules: Rules) {
        *self.shared.rules.write() = Some(rules);
    }

    fn take(&self, node: Origin, partition: Partition) -> Answer<'_, Result<Taken, Dead>> {
        async move {
            let keys = self.record_keys(node, partition);
            let args = vec![node_field(node).into(), AT_ONCE.to_string().into()];
            let Value::Array(answer) = self.call(&TAKE, &keys, args).await? else {
                return Err(EngineError::Answer("take.lua"));
            };
            if answer.len() == 1 {
                return Ok(Err(Dead));
            }
            let [_, next, lost, records, strangers]: [Value; 5] = fields(Value::Array(answer))?;
            if strangers.as_u64() != Some(0) {
                self.shared.refuse(&keys[2], "webhooks that no node has decided");
            }
            let records = self.records(node, partition, records).await?;
            Ok(Ok(Taken { records, next: pause(&next)?, lost: lost.as_u64().unwrap_or_default() }))
        }
        .boxed()
    }

    fn handed(&self, node: Origin, partition: Partition, after: Option<Place>) -> Answer<'_, Vec<Record>> {
        async move {
            let keys = self.record_keys(node, partition);
            let after = after.map(written).unwrap_or_default();
            let args = vec![node_field(node).into(), after.into(), AT_ONCE.to_string().into()];
            let records = self.call(&HANDED, &keys[..3], args).await?;
            self.records(node, partition, records).await
        }
        .boxed()
    }

    fn settle<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        settled: &'a [Settled],
    ) -> Answer<'a, Result<Option<Duration>, Dead>> {
        async move {
            let mut args: Vec<Value> = vec![node_field(node).into()];
            for record in settled {
                args.push(written(record.place).into());
                args.push(record.endpoint.as_deref().unwrap_or_default().into());
            }
            let next = self.call(&SETTLE, &self.record_keys(node, partition), args).await?;
            if next.as_i64() == Some(-2) { Ok(Err(Dead)) } else { pause(&next).map(Ok) }
        }
        .boxed()
    }

    fn keep<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
        delivery: &'a str,
        parcel: &'a Parcel,
    ) -> Answer<'a, Result<(), Dead>> {
        async move {
            let namespace = &self.shared.namespace;
            let keys = [namespace.batches(partition), namespace.tombstone(node, partition)];
            let sealed = self.shared.sealer.seal(&format!("{}/{delivery}", keys[0]), parcel.encode());
            let args = vec![node_field(node).into(), delivery.into(), Value::Bytes(sealed)];
            let kept = self.call(&KEEP, &keys, args).await?;
            Ok(if kept.as_i64() == Some(1) { Ok(()) } else { Err(Dead) })
        }
        .boxed()
    }

    fn drop_kept<'a>(&'a self, node: Origin, partition: Partition, delivery: &'a str) -> Answer<'a, ()> {
        async move {
            let keys = [self.shared.namespace.batches(partition)];
            let field = format!("{}/{delivery}", node_field(node));
            self.call(&DROP, &keys, vec![field.into()]).await.map(drop)
        }
        .boxed()
    }

    fn kept(&self, node: Origin, partition: Partition) -> Answer<'_, Vec<(String, Parcel)>> {
        async move {
            let keys = [self.shared.namespace.batches(partition)];
            let args = vec![node_field(node).into(), LONGEST_PARCEL.to_string().into()];
            let Value::Array(flat) = self.call(&KEPT, &keys, args).await? else {
                return Err(EngineError::Answer("kept.lua"));
            };
            let mut parcels = Vec::new();
            for [delivery, sealed] in flat.as_chunks::<2>().0 {
                let delivery = delivery.as_str().unwrap_or_default();
                match self.parcel(&keys[0], &delivery, sealed) {
                    Some(parcel) => parcels.push((delivery.into_owned(), parcel)),
                    None => {
                        self.shared.refuse(&keys[0], "a batch of webhooks that no node has written");
                        self.drop_kept(node, partition, &delivery).await?;
                    }
                }
            }
            Ok(parcels)
        }
        .boxed()
    }

    fn successor(&self, dead: Origin, candidate: Origin, not: Option<Origin>) -> Answer<'_, Origin> {
        async move {
            let keys = [self.shared.namespace.successor(dead)];
            let not = not.map(node_field).unwrap_or_default();
            let answer = self.call(&SUCCESSOR, &keys, vec![node_field(candidate).into(), not.into()]).await?;
            let node = answer.as_str().and_then(|text| u128::from_str_radix(&text, 16).ok());
            node.map(Origin).ok_or(EngineError::Answer("successor.lua"))
        }
        .boxed()
    }

    fn adopt(&self, dead: Origin, successor: Origin, partition: Partition) -> Answer<'_, Result<u64, Dead>> {
        async move {
            let namespace = &self.shared.namespace;
            let [proofs, records, entries, tombstone] = self.record_keys(successor, partition);
            let keys = [proofs, records, entries, namespace.batches(partition), tombstone];
            let args =
                vec![node_field(dead).into(), node_field(successor).into(), AT_ONCE.to_string().into()];
            let given = self.call(&ADOPT, &keys, args).await?;
            match given.as_i64() {
                Some(-1) => Ok(Err(Dead)),
                Some(given) => Ok(Ok(u64::try_from(given).unwrap_or_default())),
                None => Err(EngineError::Answer("adopt.lua")),
            }
        }
        .boxed()
    }
}

impl Redis {
    /// As `hooks.lua` lists them.
    pub(super) fn ledger_keys(&self, partition: Partition) -> [String; 3] {
        let namespace = &self.shared.namespace;
        [namespace.proofs(partition), namespace.records(partition), namespace.entries(partition)]
    }

    fn record_keys(&self, node: Origin, partition: Partition) -> [String; 4] {
        let [proofs, records, entries] = self.ledger_keys(partition);
        [proofs, records, entries, self.shared.namespace.tombstone(node, partition)]
    }

    /// Which webhooks are wanted, and the grace in milliseconds.
    pub(super) fn decisions(&self) -> [Value; 2] {
        let rules = *self.shared.rules.read();
        let grace = rules.map_or(0, |rules| rules.grace.as_millis());
        [rules.map(|rules| rules.letters()).unwrap_or_default().into(), grace.to_string().into()]
    }

    /// What `facts.lua` needs to know of a telling's channel to decide.
    pub(super) fn deciding(&self, telling: &Telling) -> Vec<Value> {
        let [wanted, grace] = self.decisions();
        let relied = self.shared.relied.lock().get(&telling.channel).copied();
        let (epoch, number) = match relied {
            Some(relied) if relied.node == telling.node => (relied.epoch.to_string(), relied.number),
            Some(relied) => (relied.epoch.to_string(), 0),
            None => (String::new(), 0),
        };
        let proof = self.proof_of(telling, "");
        let fresh = fresh_epoch(telling.node);
        vec![wanted, grace, proof, epoch.into(), number.to_string().into(), fresh.to_string().into()]
    }

    /// Nothing for an app without webhooks.
    pub(super) fn proof_of(&self, telling: &Telling, user: &str) -> Value {
        if self.shared.rules.read().is_none() {
            return "".into();
        }
        self.proof(Partition::of(&telling.channel), &subject(&telling.channel, user)).into()
    }

    /// What `facts.lua` says of webhooks.
    pub(super) fn decided(&self, telling: &Telling, wake: &Value, epoch: &Value) {
        let Some(epoch) = number(epoch) else { return };
        let mut relied = self.shared.relied.lock();
        if telling.subscriptions > 0 {
            let of = Relied { epoch, node: telling.node, number: telling.number };
            relied.insert(telling.channel.clone(), of);
        } else {
            relied.remove(&telling.channel);
        }
        drop(relied);
        if let Ok(Some(pause)) = pause(wake) {
            let partition = Partition::of(&telling.channel);
            // A node that does not read its notices loses its link, and looks everywhere afterwards.
            let _ = self.shared.notices.try_send(Notice::Webhooks { partition, pause });
        }
    }

    /// What says that a node of ours spoke of this channel, or of this user in it; in hex.
    fn proof(&self, partition: Partition, subject: &str) -> String {
        let topic = format!("{}:{subject}", self.shared.namespace.proofs(partition));
        let code = self.shared.sealer.seal(&topic, Vec::new());
        code.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `time, id, record, …`; what no node of ours can have written is left out and forgotten.
    async fn records(
        &self,
        node: Origin,
        partition: Partition,
        flat: Value,
    ) -> Result<Vec<Record>, EngineError> {
        let Value::Array(flat) = flat else { return Err(EngineError::Answer("no records")) };
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for [time, id, text] in flat.as_chunks::<3>().0 {
            let Some(place) = number(time).zip(number(id)).map(|(time, id)| Place { time, id }) else {
                continue;
            };
            match self.record(partition, place, text) {
                Some(record) => records.push(record),
                None => refused.push(Settled { place, endpoint: None }),
            }
        }
        if !refused.is_empty() {
            self.shared.refuse(&self.ledger_keys(partition)[1], "webhooks that no node has decided");
            // Somebody else's by now if the node was declared dead.
            let _ = self.settle(node, partition, &refused).await?;
        }
        Ok(records)
    }

    fn record(&self, partition: Partition, place: Place, text: &Value) -> Option<Record> {
        let text = text.as_str()?;
        let (record, proof) = Record::parse(place, &text)?;
        let is_ours = record.partition() == partition && proof == self.proof(partition, &record.subject());
        is_ours.then_some(record)
    }

    fn parcel(&self, key: &str, delivery: &str, sealed: &Value) -> Option<Parcel> {
        let sealed = sealed.as_bytes().map(Bytes::copy_from_slice)?;
        let opened = self.shared.sealer.open(&format!("{key}/{delivery}"), &sealed).ok()?;
        Parcel::decode(opened)
    }
}

fn number(digits: &Value) -> Option<u64> {
    digits.as_str()?.parse().ok()
}

/// As the scripts write a place.
fn written(place: Place) -> String {
    format!("{:016}{:016}", place.time, place.id)
}

/// Milliseconds, -1 for never.
fn pause(value: &Value) -> Result<Option<Duration>, EngineError> {
    let millis = value.as_i64().ok_or(EngineError::Answer("a pause that is no number"))?;
    Ok(u64::try_from(millis).ok().map(Duration::from_millis))
}
