//! What an app asks of Redis: each call is one command or one script, and ends within [`COMMAND_TIME`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use fred::interfaces::PubsubInterface;
use fred::types::Value;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gema_protocol::channel::ChannelName;
use tokio::time::timeout;

use super::link::down;
use super::script::Script;
use super::{LOST, MOST_BYTES, Redis, bytes_of};
use crate::engine::{Asked, Counts, Engine, EngineError, Kept};
use crate::entry::{Entry, Origin};
use crate::inbox::{Page, Position};
use crate::lease::{Renewal, Renewed};
use crate::name::Partition;
use crate::outgoing::{Answer, Append, KEEP};
use crate::replica::{Fact, Snapshot};
use crate::telling::{LONGEST_NAME, Telling, Told};

/// How long one command may take; then the link counts as down.
const COMMAND_TIME: Duration = Duration::from_secs(2);
/// Most subscriptions that one node can have in a channel. Sums of what is found stay far from the end of the numbers.
const MOST_COUNT: u64 = 1 << 40;
/// Bytes that the log of one channel may hold.
const LOG_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are read of it at most, unless one event is larger: a few large ones come before the old are gone.
const PAGE_BYTES: usize = 4 * LOG_BYTES;
static APPEND: Script = Script::over(&["hash", "stream", "string"], include_str!("append.lua"));
static PAGE: Script = Script::over(&["hash", "stream", "string"], include_str!("page.lua"));
static FACTS: Script = Script::over(
    &["hash", "hash", "hash", "set", "hash", "string", "hash", "hash", "zset"],
    concat!(include_str!("hooks.lua"), include_str!("facts.lua")),
);
static SNAPSHOT: Script = Script::over(&["hash"], include_str!("snapshot.lua"));
static CHANNELS_OF: Script = Script::over(&["set"], "return redis.call('SMEMBERS', KEYS[1])");
static LAST: Script = Script::over(
    &["string"],
    "local last = redis.call('GETRANGE', KEYS[1], 0, ARGV[1])
    return {#last <= tonumber(ARGV[1]) and last or '', redis.call('PTTL', KEYS[1])}",
);

impl Engine for Redis {
    fn append<'a>(
        &'a self,
        append: &'a Append,
        keep: Option<(&'a str, Duration)>,
    ) -> BoxFuture<'a, Result<Answer, EngineError>> {
        async move {
            let answer =
                self.call(&APPEND, &self.log_keys(&append.channel), self.append_args(append, keep)).await?;
            let [taken, epoch, number, foreign]: [Value; 4] = fields(answer)?;
            if foreign.as_i64() == Some(1) {
                self.shared
                    .refuse(&append.channel, "a log that somebody else has written to; it begins anew");
            }
            let at = position(&epoch, &number)?;
            match (taken.as_i64(), at) {
                (Some(1), Some(at)) => Ok(Answer::Appended(at)),
                (Some(0), at) => Ok(Answer::Behind(at)),
                _ => Err(EngineError::Answer("append.lua")),
            }
        }
        .boxed()
    }

    fn page<'a>(
        &'a self,
        channel: &'a ChannelName,
        after: Option<Position>,
    ) -> BoxFuture<'a, Result<Page, EngineError>> {
        async move {
            let epoch = after.map(|after| after.epoch.to_string()).unwrap_or_default();
            let number = after.map_or(0, |after| after.number);
            let most = [PAGE_BYTES, MOST_BYTES].map(|most| most.to_string().into());
            let args = [vec![epoch.into(), number.to_string().into()], most.to_vec()].concat();
            let answer = self.call(&PAGE, &self.log_keys(channel), args).await?;
            let [epoch, number, entries, more]: [Value; 4] = fields(answer)?;
            if more.as_i64() == Some(1) {
                self.shared.refuse(channel, "more in a log than can be read");
            }
            Ok(Page { newest: position(&epoch, &number)?, entries: self.entries(channel, entries)? })
        }
        .boxed()
    }

    fn last_event<'a>(
        &'a self,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<Option<Kept>, EngineError>> {
        async move {
            let key = self.shared.namespace.last_event(channel);
            let most = MOST_BYTES.to_string().into();
            let answer = self.call(&LAST, std::slice::from_ref(&key), vec![most]).await?;
            let [sealed, left]: [Value; 2] = fields(answer)?;
            if left.as_i64() == Some(-2) {
                return Ok(None);
            }
            let time = left.as_u64().map(Duration::from_millis).ok_or("a last event that is kept for ever");
            let text = bytes_of(&sealed, MOST_BYTES).and_then(|sealed| self.shared.read(&key, &sealed, text));
            let kept = text.and_then(|text| Ok((text, time?)));
            Ok(kept.map_err(|why| self.shared.refuse(channel, &why)).ok())
        }
        .boxed()
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Result<Told, EngineError>> {
        async move {
            let answer = self.call(&FACTS, &self.fact_keys(telling), self.fact_args(telling)).await?;
            let Value::Array(mut answer) = answer else { return Err(EngineError::Answer("facts.lua")) };
            if let [_, _, wake, epoch, lost] = &answer[..] {
                self.decided(telling, wake, epoch);
                if lost.as_i64() == Some(1) {
                    self.shared.refuse(&telling.channel, "facts that do not fit; they are told again");
                }
            }
            answer.truncate(2);
            let [status, number]: [Value; 2] = fields(Value::Array(answer))?;
            match (status.as_i64(), number.as_u64()) {
                (Some(0), _) => Ok(Told::Dead),
                (Some(1), Some(version)) => Ok(Told::Taken(version)),
                (Some(2), Some(taken)) => Ok(Told::Stale(taken)),
                _ => Err(EngineError::Answer("facts.lua")),
            }
        }
        .boxed()
    }

    fn channels_of<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
    ) -> BoxFuture<'a, Result<Vec<ChannelName>, EngineError>> {
        async move {
            let keys = [self.shared.namespace.channels_of(node, partition)];
            let Value::Array(names) = self.call(&CHANNELS_OF, &keys, Vec::new()).await? else {
                return Err(EngineError::Answer("SMEMBERS"));
            };
            Ok(self.own_channels(&keys[0], &names, partition))
        }
        .boxed()
    }

    fn snapshot<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Snapshot, EngineError>> {
        async move {
            let keys = [self.shared.namespace.facts(channel)];
            let answer = self.call(&SNAPSHOT, &keys, vec![MOST_BYTES.to_string().into()]).await?;
            if answer.is_null() {
                self.shared.refuse(channel, "more facts than can be read; they are told again");
                self.call_for_words().await;
                return Err(EngineError::Answer("more facts than can be read"));
            }
            let [version, members, counts, strangers]: [Value; 4] = fields(answer)?;
            if strangers.as_u64() != Some(0) {
                self.shared.refuse(channel, "facts of no node; they are taken out");
            }
            let version = version.as_u64().ok_or(EngineError::Answer("snapshot.lua"))?;
            let counts = self.counts_of(channel, counts)?;
            Ok(Snapshot { version, facts: self.members(channel, members)?, counts })
        }
        .boxed()
    }

    fn renew<'a>(&'a self, renewal: &'a Renewal) -> BoxFuture<'a, Result<Renewed, EngineError>> {
        self.renew_lease(renewal).boxed()
    }

    fn reap(&self, node: Origin, partition: Partition) -> BoxFuture<'_, Result<(), EngineError>> {
        self.reap_partition(node, partition).boxed()
    }

    fn bury(&self, node: Origin) -> BoxFuture<'_, Result<bool, EngineError>> {
        self.bury_node(node, false).boxed()
    }

    fn lay_down(&self, node: Origin) -> BoxFuture<'_, Result<(), EngineError>> {
        async move { self.bury_node(node, true).await.map(drop) }.boxed()
    }

    fn lease(&self) -> Duration {
        self.shared.lease
    }

    fn occupied<'a>(&'a self, prefix: &'a str) -> Asked<'a, Vec<(ChannelName, u64)>> {
        self.list_occupied(prefix).boxed()
    }

    fn counts<'a>(&'a self, channels: &'a [ChannelName]) -> Asked<'a, Vec<Counts>> {
        self.count(channels).boxed()
    }

    fn users_of<'a>(&'a self, channel: &'a ChannelName) -> Asked<'a, Vec<String>> {
        self.list_users(channel).boxed()
    }

    fn is_first_miss<'a>(&'a self, channel: &'a ChannelName, period: Duration) -> Asked<'a, bool> {
        self.mark_missed(channel, period).boxed()
    }

    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let link = self.shared.link()?;
            let topics = self.topics(channels);
            // Known before Redis confirms: the first message may come with the confirmation.
            self.shared.held.lock().extend(topics.iter().cloned().zip(channels.iter().cloned()));
            self.within(link.hold(&topics)).await
        }
        .boxed()
    }

    fn now_ms(&self) -> u64 {
        let ours =
            UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        u64::try_from(ours + self.shared.clock.lock().ahead_ms()).unwrap_or(0)
    }

    fn clock_error_ms(&self) -> u64 {
        self.shared.clock.lock().error_ms()
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let link = self.shared.link()?;
            let topics = self.topics(channels);
            self.shared.held.lock().retain(|topic, _| !topics.contains(topic));
            self.within(link.let_go(&topics)).await
        }
        .boxed()
    }

    fn refused(&self) -> u64 {
        self.shared.refused.count()
    }
}

impl Redis {
    /// The command's own answer, unless it takes too long.
    pub(super) async fn within<T>(
        &self,
        command: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let limit = COMMAND_TIME * self.shared.patience;
        timeout(limit, command).await.unwrap_or(Err(EngineError::Timeout(limit)))
    }

    pub(super) async fn call(
        &self,
        script: &Script,
        keys: &[String],
        args: Vec<Value>,
    ) -> Result<Value, EngineError> {
        let link = self.shared.link()?;
        let called =
            self.within(async { script.call(&link.commands, keys, &args).await.map_err(down) }).await;
        if let Err(error) = &called {
            self.shared.explain(&link, error);
        }
        let called = called?;
        for key in &called.healed {
            self.shared.refuse(key, "a key of another type; it is deleted, and written anew");
        }
        if !called.healed.is_empty() {
            self.call_for_words().await;
        }
        Ok(called.answer)
    }

    /// Somebody else has made something of keys: whose words are lost with them is not known, so every node tells again. A
    /// node that is not reached has no link, and tells everything once it has one.
    pub(super) async fn call_for_words(&self) {
        let shared = &self.shared;
        let message = [LOST, &shared.sealer.seal(&shared.loss_topic(), Vec::new())].concat();
        let topic = shared.namespace.topic(&ChannelName::control());
        let message = Value::Bytes(message.into());
        let called: Result<(), _> =
            self.within(async { shared.link()?.commands.spublish(topic, message).await.map_err(down) }).await;
        if let Err(error) = called {
            tracing::debug!(%error, "could not let the nodes tell again");
        }
    }

    fn topics(&self, channels: &[ChannelName]) -> Vec<String> {
        channels.iter().map(|channel| self.shared.namespace.topic(channel)).collect()
    }

    fn log_keys(&self, channel: &ChannelName) -> [String; 3] {
        let namespace = &self.shared.namespace;
        [namespace.counters(channel), namespace.log(channel), namespace.last_event(channel)]
    }

    /// As `append.lua` lists them.
    fn append_args(&self, append: &Append, keep: Option<(&str, Duration)>) -> Vec<Value> {
        let topic = self.shared.namespace.topic(&append.channel);
        let entry = self.shared.sealer.seal(&topic, append.entry.encode());
        let (epoch, number) = match append.expected {
            Some(expected) => (expected.epoch.to_string(), expected.number),
            None => (String::new(), 0),
        };
        let last_event = self.shared.namespace.last_event(&append.channel);
        let last = keep.map(|(text, _)| self.shared.sealer.seal(&last_event, text.as_bytes().to_vec()));
        let last_for = keep.map_or(0, |(_, time)| time.as_millis());
        vec![
            topic.into(),
            fresh_epoch(append.entry.origin).to_string().into(),
            epoch.into(),
            number.to_string().into(),
            Value::Bytes(entry),
            LOG_BYTES.to_string().into(),
            KEEP.as_secs().to_string().into(),
            Value::Bytes(last.unwrap_or_default()),
            last_for.to_string().into(),
            append.entry.events.len().to_string().into(),
            node_field(append.entry.origin).into(),
            append.entry.sequence.to_string().into(),
        ]
    }

    /// As `facts.lua` lists them.
    fn fact_keys(&self, telling: &Telling) -> Vec<String> {
        let (namespace, partition) = (&self.shared.namespace, Partition::of(&telling.channel));
        let mut keys = vec![
            namespace.facts(&telling.channel),
            namespace.users(&telling.channel),
            namespace.occupied(partition),
            namespace.channels_of(telling.node, partition),
            namespace.taken(partition),
            namespace.tombstone(telling.node, partition),
        ];
        keys.extend(self.ledger_keys(partition));
        keys
    }

    /// As `facts.lua` lists them.
    fn fact_args(&self, telling: &Telling) -> Vec<Value> {
        let topic = self.shared.namespace.topic(&telling.channel);
        let change = self.shared.sealer.seal(&topic, telling.encode());
        let mut args: Vec<Value> = vec![
            topic.into(),
            node_field(telling.node).into(),
            telling.number.to_string().into(),
            telling.channel.to_string().into(),
            telling.subscriptions.to_string().into(),
            flag(telling.known),
            flag(telling.whole),
            Value::Bytes(change),
        ];
        args.extend(self.deciding(telling));
        for claim in &telling.users {
            args.push(claim.user_id.as_str().into());
            args.push(match &claim.member {
                Some(member) => {
                    let field = self.member_topic(&telling.channel, telling.node, &claim.user_id);
                    Value::Bytes(self.shared.sealer.seal(&field, member.to_vec()))
                }
                None => "".into(),
            });
            args.push(flag(claim.known));
            args.push(self.proof_of(telling, &claim.user_id));
        }
        args
    }

    /// What a member in the facts is sealed for: nobody can move it to another user, node or channel.
    fn member_topic(&self, channel: &ChannelName, node: Origin, user: &str) -> String {
        format!("{}:{}/{user}", self.shared.namespace.facts(channel), node_field(node))
    }

    /// `node/user, member, …`; what cannot be opened is left out.
    fn members(&self, channel: &ChannelName, flat: Value) -> Result<Vec<Fact>, EngineError> {
        let Value::Array(flat) = flat else { return Err(EngineError::Answer("snapshot.lua")) };
        let (pairs, _) = flat.as_chunks::<2>();
        let read = |[field, sealed]: &[Value; 2]| {
            let field = field.as_str().ok_or("a member whose field is no text")?;
            let (node, user) = field.split_once('/').ok_or("a member of no node")?;
            let node = node_of(node).ok_or("a member of no node")?;
            let sealed = bytes_of(sealed, MOST_BYTES)?;
            let member = self.shared.read(&self.member_topic(channel, node, user), &sealed, Ok)?;
            Ok(Fact { node, user_id: user.to_owned(), member: Some(member) })
        };
        Ok(self.shared.believed(channel, pairs.iter().map(read)))
    }

    /// `number-0, entry, number-0, entry, …`; what cannot be opened is left out.
    fn entries(&self, channel: &ChannelName, flat: Value) -> Result<Vec<(u64, Entry)>, EngineError> {
        let Value::Array(flat) = flat else { return Err(EngineError::Answer("page.lua")) };
        let (topic, (pairs, _)) = (self.shared.namespace.topic(channel), flat.as_chunks::<2>());
        let read = |[id, sealed]: &[Value; 2]| {
            let number = id.as_str().and_then(|id| id.strip_suffix("-0")?.parse().ok());
            let sealed = bytes_of(sealed, MOST_BYTES)?;
            let read = |bytes| Entry::decode(bytes).map_err(|error| error.to_string());
            Ok((number.ok_or("an entry without a number")?, self.shared.read(&topic, &sealed, read)?))
        };
        Ok(self.shared.believed(channel, pairs.iter().map(read)))
    }

    /// `node, subscriptions, …`; what is no count is left out.
    fn counts_of(&self, channel: &ChannelName, flat: Value) -> Result<Vec<(Origin, u64)>, EngineError> {
        let Value::Array(flat) = flat else { return Err(EngineError::Answer("snapshot.lua")) };
        let (pairs, _) = flat.as_chunks::<2>();
        let read = |[node, count]: &[Value; 2]| {
            let count = count.as_u64().filter(|count| *count <= MOST_COUNT)?;
            Some((node_of(node.as_str()?.as_ref())?, count))
        };
        let read = |pair| read(pair).ok_or_else(|| "a count that is none".to_owned());
        Ok(self.shared.believed(channel, pairs.iter().map(read)))
    }

    /// The names that are some, of channels that lie here.
    pub(super) fn own_channels(&self, key: &str, names: &[Value], partition: Partition) -> Vec<ChannelName> {
        let read = |name: &Value| {
            let channel = ChannelName::parse(name.as_str()?.as_ref(), LONGEST_NAME).ok()?;
            (Partition::of(&channel) == partition).then_some(channel)
        };
        let read = |name| read(name).ok_or_else(|| "a name of no channel that lies here".to_owned());
        self.shared.believed(key, names.iter().map(read))
    }
}

fn text(bytes: Bytes) -> Result<String, String> {
    String::from_utf8(bytes.into()).map_err(|error| error.to_string())
}

pub(super) fn fields<const N: usize>(value: Value) -> Result<[Value; N], EngineError> {
    let Value::Array(fields) = value else { return Err(EngineError::Answer("no list")) };
    fields.try_into().map_err(|_| EngineError::Answer("a list of another length"))
}

/// `None` for an epoch that is empty, or none of ours: there is no log.
fn position(epoch: &Value, number: &Value) -> Result<Option<Position>, EngineError> {
    let Some(epoch) = epoch.as_str().and_then(|epoch| epoch.parse().ok()) else { return Ok(None) };
    let number = number.as_u64().ok_or(EngineError::Answer("a number that is none"))?;
    Ok(Some(Position { epoch, number }))
}

/// The origin is random and the count never comes back: no two epochs are the same.
#[expect(clippy::cast_possible_truncation, reason = "half of the random bits are enough")]
pub(super) fn fresh_epoch(node: Origin) -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    (node.0 as u64).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A node as a field of a hash names it.
pub(super) fn node_field(node: Origin) -> String {
    format!("{:032x}", node.0)
}

/// The node of a [`node_field`].
fn node_of(field: &str) -> Option<Origin> {
    u128::from_str_radix(field, 16).ok().map(Origin)
}

/// A yes or no among a script's arguments.
pub(super) fn flag(is_so: bool) -> Value {
    if is_so { "1".into() } else { "0".into() }
}
