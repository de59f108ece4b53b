//! Leases and deaths in Redis: who lives, and how the facts of the dead are taken away.

use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;
use gema_protocol::channel::ChannelName;

use super::Redis;
use super::commands::{fields, flag, node_field};
use super::link::unix_us;
use super::script::Script;
use crate::clock::Look;
use crate::engine::EngineError;
use crate::entry::Origin;
use crate::lease::{Places, Renewal, Renewed, Standing};
use crate::name::{Namespace, Partition};

/// How long the words of a dead node are refused. Nothing takes longer to arrive.
const TOMBSTONE: Duration = Duration::from_secs(3_600);
/// Channels that one call of a script takes a node out of; Redis serves nobody else meanwhile.
const CHANNELS: usize = 500;
static RENEW: Script = Script::over(LEASE_TYPES, include_str!("renew.lua"));
static REAP: Script = Script::over(
    &["string", "set", "hash", "hash", "hash", "hash", "zset", "hash"],
    concat!(include_str!("hooks.lua"), include_str!("reap.lua")),
);
static STRIKE: Script = Script::over(&["set"], "return redis.call('SREM', KEYS[1], unpack(ARGV))");
static BURY: Script = Script::over(LEASE_TYPES, include_str!("bury.lua"));
/// Of [`Redis::lease_keys`].
const LEASE_TYPES: &[&str] = &["zset", "hash", "hash", "string"];

impl Redis {
    pub(super) async fn renew_lease(&self, renewal: &Renewal) -> Result<Renewed, EngineError> {
        let asked = unix_us();
        let answer = self.call(&RENEW, &self.lease_keys(renewal.node), self.renew_args(renewal)).await?;
        let Value::Array(mut answer) = answer else { return Err(EngineError::Answer("renew.lua")) };
        let rest = answer.split_off(answer.len().min(3));
        let [status, seconds, micros]: [Value; 3] = fields(Value::Array(answer))?;
        self.learn_clock(asked, &seconds, &micros)?;
        match status.as_i64() {
            Some(0) => Ok(Renewed::Ended),
            Some(1) => self.standing(rest, renewal.wanted).map(Renewed::Stands),
            _ => Err(EngineError::Answer("renew.lua")),
        }
    }

    /// Ends when nothing is left of what the node said of the partition.
    pub(super) async fn reap_partition(&self, node: Origin, partition: Partition) -> Result<(), EngineError> {
        let mut channels = Vec::new();
        loop {
            let (keys, args) = self.reap_call(node, partition, &channels);
            let Value::Array(mut names) = self.call(&REAP, &keys, args).await? else {
                return Err(EngineError::Answer("reap.lua"));
            };
            let lost = names.is_empty() || names.remove(0).as_i64() != Some(0);
            if lost {
                self.shared.refuse(&keys[3], "a count without facts; all nodes tell again");
                self.call_for_words().await;
            }
            if names.is_empty() {
                return Ok(());
            }
            channels = self.known_channels(node, partition, names).await?;
        }
    }

    /// `later`: somebody else is to forget it.
    pub(super) async fn bury_node(&self, node: Origin, later: bool) -> Result<bool, EngineError> {
        let args = vec![node_field(node).into(), TOMBSTONE.as_secs().to_string().into(), flag(later)];
        let answer = self.call(&BURY, &self.lease_keys(node), args).await?;
        Ok(answer.as_i64() == Some(1))
    }

    fn lease_keys(&self, node: Origin) -> [String; 4] {
        let namespace = &self.shared.namespace;
        [namespace.nodes(), namespace.connections(), namespace.promised(), namespace.buried(node)]
    }

    /// As `renew.lua` lists them.
    fn renew_args(&self, renewal: &Renewal) -> Vec<Value> {
        vec![
            node_field(renewal.node).into(),
            u8::from(renewal.first).to_string().into(),
            self.shared.lease.as_millis().to_string().into(),
            renewal.connections.to_string().into(),
            renewal.wanted.to_string().into(),
            renewal.limit.map(|limit| limit.to_string()).unwrap_or_default().into(),
        ]
    }

    fn learn_clock(&self, asked: i64, seconds: &Value, micros: &Value) -> Result<(), EngineError> {
        let number = |value: &Value| value.as_i64().ok_or(EngineError::Answer("renew.lua"));
        let theirs = number(seconds)?.saturating_mul(1_000_000).saturating_add(number(micros)?);
        self.shared.clock.lock().learn(Look { asked, theirs, answered: unix_us() });
        Ok(())
    }

    /// `nodes, connections of the others, free places, {ended, …}, strangers`; ids that are none are left out.
    fn standing(&self, fields_after_time: Vec<Value>, wanted: u64) -> Result<Standing, EngineError> {
        let [nodes, elsewhere, free, ended, strangers]: [Value; 5] = fields(Value::Array(fields_after_time))?;
        let number = |value: &Value| value.as_u64().ok_or(EngineError::Answer("renew.lua"));
        let Value::Array(ended) = ended else { return Err(EngineError::Answer("renew.lua")) };
        if number(&strangers)? > 0 {
            self.shared.refuse(&self.shared.namespace.nodes(), "nodes that are none; they are taken out");
        }
        let id = |id: &Value| u128::from_str_radix(id.as_str()?.as_ref(), 16).ok().map(Origin);
        Ok(Standing {
            elsewhere: number(&elsewhere)?,
            ended: ended.iter().filter_map(id).collect(),
            places: Places::of(number(&free)?, wanted, number(&nodes)?),
        })
    }

    /// Keys and arguments as `reap.lua` lists them. The script cannot seal, so each notice is sealed here. Forged it is worth
    /// nothing; a genuine one that somebody sends again says only what stays true: no id comes back to life.
    fn reap_call(
        &self,
        node: Origin,
        partition: Partition,
        channels: &[ChannelName],
    ) -> (Vec<String>, Vec<Value>) {
        let namespace = &self.shared.namespace;
        let mut keys = vec![
            namespace.tombstone(node, partition),
            namespace.channels_of(node, partition),
            namespace.taken(partition),
            namespace.occupied(partition),
        ];
        keys.extend(self.ledger_keys(partition));
        let [wanted, grace] = self.decisions();
        let mut args: Vec<Value> = vec![
            node_field(node).into(),
            TOMBSTONE.as_secs().to_string().into(),
            CHANNELS.to_string().into(),
            wanted,
            grace,
        ];
        for channel in channels {
            keys.extend([namespace.facts(channel), namespace.users(channel)]);
            let notice =
                self.shared.sealer.seal(&death_topic(namespace, channel), node.0.to_be_bytes().into());
            args.extend([channel.to_string().into(), namespace.topic(channel).into(), Value::Bytes(notice)]);
        }
        (keys, args)
    }

    /// Names that are names of the partition's channels. Others cannot come from a node; they are taken out of the set, or
    /// it would never be empty.
    async fn known_channels(
        &self,
        node: Origin,
        partition: Partition,
        names: Vec<Value>,
    ) -> Result<Vec<ChannelName>, EngineError> {
        let keys = [self.shared.namespace.channels_of(node, partition)];
        let channels = self.own_channels(&keys[0], &names, partition);
        if channels.len() < names.len() {
            let is_known =
                |name: &Value| channels.iter().any(|known| name.as_str().as_deref() == Some(&**known));
            let strangers = names.into_iter().filter(|name| !is_known(name)).collect();
            self.call(&STRIKE, &keys, strangers).await?;
        }
        Ok(channels)
    }
}

/// What the notice of a death is sealed for: neither an entry nor a change can pass for one.
pub(super) fn death_topic(namespace: &Namespace, channel: &ChannelName) -> String {
    format!("death:{}", namespace.topic(channel))
}

/// The node in an opened notice.
pub(super) fn dead_node(notice: &Bytes) -> Option<Origin> {
    Some(Origin(u128::from_be_bytes(notice.as_ref().try_into().ok()?)))
}
