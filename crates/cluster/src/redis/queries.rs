//! What queries ask: each partition or channel is one short script, and all of a query are on their way at once.
//!
//! Nothing that is found is trusted. The scripts pass over what is too long, too much or no number, so that a stranger's
//! million fields cost neither side more than a look at their number.

use std::time::Duration;

use fred::types::Value;
use futures_util::future::try_join_all;
use gema_protocol::channel::ChannelName;

use super::Redis;
use super::script::Script;
use crate::engine::{Counts, EngineError};
use crate::name::Partition;

/// Most occupied channels of a partition, and most users of a channel, that are listed.
const MOST: usize = 65_536;
/// Most bytes of a channel's name or of a user's id.
const LONGEST: usize = 4_096;
static OCCUPIED: Script = Script::over(&["hash"], include_str!("occupied.lua"));
static CHANNEL: Script = Script::over(&["hash"], include_str!("channel.lua"));
static MISSED: Script = Script::over(&["string"], include_str!("missed.lua"));

impl Redis {
    /// All partitions at once.
    pub(super) async fn list_occupied(&self, prefix: &str) -> Result<Vec<(ChannelName, u64)>, EngineError> {
        let parts =
            try_join_all(Partition::all().map(|partition| self.occupied_in(partition, prefix))).await?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn occupied_in(
        &self,
        partition: Partition,
        prefix: &str,
    ) -> Result<Vec<(ChannelName, u64)>, EngineError> {
        let keys = [self.shared.namespace.occupied(partition)];
        let args = vec![prefix.into(), MOST.to_string().into(), LONGEST.to_string().into()];
        let Value::Array(answer) = self.call(&OCCUPIED, &keys, args).await? else {
            self.shared.refuse(&keys[0], "more occupied channels than can be listed");
            return Ok(Vec::new());
        };
        let (strangers, flat) = answer.split_first().ok_or(EngineError::Answer("occupied.lua"))?;
        self.taken_out(&keys[0], strangers).await;
        let read = |[name, count]: &[Value; 2]| {
            let name = ChannelName::parse(&name.as_str()?, LONGEST).ok()?;
            Some((name, count.as_u64()?))
        };
        let read = |pair| read(pair).ok_or_else(|| "the name of an occupied channel that is none".to_owned());
        Ok(self.shared.believed(&keys[0], flat.as_chunks::<2>().0.iter().map(read)))
    }

    /// A script has taken out counts that are none: perhaps there was a right one, so it is told again.
    async fn taken_out(&self, key: &str, strangers: &Value) {
        if strangers.as_u64() != Some(0) {
            self.shared.refuse(key, "counts that are none; they are taken out, and all nodes tell again");
            self.call_for_words().await;
        }
    }

    /// All channels at once.
    pub(super) async fn count(&self, channels: &[ChannelName]) -> Result<Vec<Counts>, EngineError> {
        let counts = channels.iter().map(async |channel| Ok(self.channel(channel, 0).await?.0));
        try_join_all(counts).await
    }

    pub(super) async fn list_users(&self, channel: &ChannelName) -> Result<Vec<String>, EngineError> {
        let (counts, users) = self.channel(channel, MOST).await?;
        if counts.users > MOST as u64 {
            self.shared.refuse(channel, "more users in a channel than can be listed");
            return Err(EngineError::Answer("too many users"));
        }
        Ok(users)
    }

    /// `most`: users to list at most; none if there are more.
    async fn channel(
        &self,
        channel: &ChannelName,
        most: usize,
    ) -> Result<(Counts, Vec<String>), EngineError> {
        let namespace = &self.shared.namespace;
        let keys =
            [namespace.occupied(Partition::of(channel)), namespace.users(channel), namespace.facts(channel)];
        let args = vec![channel.to_string().into(), most.to_string().into(), LONGEST.to_string().into()];
        let Value::Array(answer) = self.call(&CHANNEL, &keys, args).await? else {
            return Err(EngineError::Answer("channel.lua"));
        };
        let [strangers, subscriptions, users, ids @ ..] = &answer[..] else {
            return Err(EngineError::Answer("channel.lua"));
        };
        self.taken_out(&keys[0], strangers).await;
        let count = |value: &Value| value.as_u64().ok_or(EngineError::Answer("channel.lua"));
        let counts = Counts { subscriptions: count(subscriptions)?, users: count(users)? };
        Ok((counts, ids.iter().filter_map(|id| Some(id.as_str()?.into_owned())).collect()))
    }

    /// True when nobody has marked it within the period.
    pub(super) async fn mark_missed(
        &self,
        channel: &ChannelName,
        period: Duration,
    ) -> Result<bool, EngineError> {
        let keys = [self.shared.namespace.missed(channel)];
        let period = period.as_millis().max(1).to_string();
        let marked = self.call(&MISSED, &keys, vec![period.into()]).await?.as_i64();
        if marked == Some(2) {
            self.shared.refuse(channel, "a mark of a missed event that would stand too long");
        }
        Ok(marked != Some(0))
    }
}
