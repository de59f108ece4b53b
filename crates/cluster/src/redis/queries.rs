//! What queries ask: each partition or channel is one short script, and all of a query are on their way at once.
//!
//! Nothing that is found is trusted. The scripts pass over what is too long, too much or no number, so that a stranger's
//! million fields cost neither side more than a look at their number.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fred::interfaces::KeysInterface;
use fred::types::{Expiration, SetOptions, Value};
use futures_util::future::try_join_all;
use gema_protocol::channel::ChannelName;

use super::Redis;
use super::link::down;
use super::script::Script;
use crate::engine::{Counts, EngineError};
use crate::name::Partition;

/// Most occupied channels of a partition, and most users of a channel, that are listed.
const MOST: usize = 65_536;
/// Most bytes of a channel's name or of a user's id.
const LONGEST: usize = 4_096;
static OCCUPIED: Script = Script::new(include_str!("occupied.lua"));
static CHANNEL: Script = Script::new(include_str!("channel.lua"));

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
        let Value::Array(flat) = self.call(&OCCUPIED, &keys, args).await? else {
            complain("a list of occupied channels that no server of ours can have written");
            return Ok(Vec::new());
        };
        let (pairs, _) = flat.as_chunks::<2>();
        let read = |[name, count]: &[Value; 2]| {
            let name = ChannelName::parse(&name.as_str()?, LONGEST).ok()?;
            Some((name, count.as_u64()?))
        };
        Ok(pairs.iter().filter_map(read).collect())
    }

    /// All channels at once.
    pub(super) async fn count(&self, channels: &[ChannelName]) -> Result<Vec<Counts>, EngineError> {
        let counts = channels.iter().map(async |channel| Ok(self.channel(channel, 0).await?.0));
        try_join_all(counts).await
    }

    pub(super) async fn list_users(&self, channel: &ChannelName) -> Result<Vec<String>, EngineError> {
        let (counts, users) = self.channel(channel, MOST).await?;
        if counts.users > MOST as u64 {
            complain("more users in a channel than can be listed");
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
        let keys = [namespace.occupied(Partition::of(channel)), namespace.users(channel)];
        let args = vec![channel.to_string().into(), most.to_string().into(), LONGEST.to_string().into()];
        let Value::Array(answer) = self.call(&CHANNEL, &keys, args).await? else {
            return Err(EngineError::Answer("channel.lua"));
        };
        let [subscriptions, users, ids @ ..] = &answer[..] else {
            return Err(EngineError::Answer("channel.lua"));
        };
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
        let link = self.shared.link()?;
        let key = self.shared.namespace.missed(channel);
        let period = Expiration::PX(i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1));
        self.within(async {
            let set = link.commands.set(&key, 1, Some(period), Some(SetOptions::NX), false);
            let marked: Option<String> = set.await.map_err(down)?;
            Ok(marked.is_some())
        })
        .await
    }
}

/// Says once that Redis holds what it should not.
fn complain(what: &'static str) {
    static COMPLAINED: AtomicBool = AtomicBool::new(false);
    if !COMPLAINED.swap(true, Ordering::Relaxed) {
        tracing::warn!(what, "passed over in Redis; further finds are not logged");
    }
}
