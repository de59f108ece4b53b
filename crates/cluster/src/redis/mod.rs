//! Redis (7 or newer) or Valkey as the place where nodes meet: sharded pub/sub, a stream per channel, short scripts.
//!
//! [`link`] owns the connections; here are the commands of one app. Every script touches one partition, so one slot.

mod link;
mod script;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use fred::interfaces::{KeysInterface, PubsubInterface};
use fred::types::config::Config;
use fred::types::{Builder, Message, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gema_protocol::channel::ChannelName;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::{Engine, EngineError, Kept, Notice, Notices};
use crate::entry::Entry;
use crate::inbox::{Page, Position};
use crate::name::Namespace;
use crate::outgoing::{Answer, Append, KEEP};
use crate::seal::Sealer;
use link::{Current, Link, down};
use script::Script;

/// How long one command may take; then the link counts as down.
const COMMAND_TIME: Duration = Duration::from_secs(2);
/// Bytes that the log of one channel may hold.
const LOG_BYTES: usize = 4 * 1024 * 1024;
/// Notices that may wait for the node.
const NOTICES: usize = 65_536;
/// Shortest pause before a new link is tried; up to as much again is added, so that nodes do not come in step.
const PAUSE: Duration = Duration::from_millis(200);

static APPEND: Script = Script::new(include_str!("append.lua"));
static PAGE: Script = Script::new(include_str!("page.lua"));

/// Where a Redis is and how to get in. `Debug` shows nothing of it: it may hold a password.
#[derive(Clone)]
pub struct Address(Config);

impl Address {
    /// A URL: `redis://`, `rediss://` (TLS), `redis-cluster://`, `redis-sentinel://…?sentinelServiceName=`, with user,
    /// password, port and database; further hosts as `node=host:port` in the query.
    ///
    /// # Errors
    /// One sentence without the URL's secrets.
    pub fn parse(url: &str) -> Result<Self, String> {
        Config::from_url(url)
            .map(Self)
            .map_err(|error| format!("it is no address of a Redis: {}", error.details()))
    }

    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> u16 {
        self.0.database.unwrap_or_default().into()
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

/// One app's share of a Redis.
pub struct Redis {
    shared: Arc<Shared>,
    /// Ends the task that keeps the link.
    _keeper: DropGuard,
}

struct Shared {
    namespace: Namespace,
    sealer: Sealer,
    link: Current,
    /// Held topics, to find a message's channel by.
    held: Mutex<HashMap<String, ChannelName>>,
    notices: mpsc::Sender<Notice>,
    /// Milliseconds that Redis' clock is ahead of ours.
    clock: AtomicI64,
    /// A topic nobody else has: what is sent there must come back.
    probe: String,
}

impl Redis {
    /// Begins to make a link and goes on for ever, whether or not Redis is there. `unique` tells this process from all
    /// others.
    pub fn start(address: Address, namespace: Namespace, sealer: Sealer, unique: u128) -> (Self, Notices) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let probe = namespace.probe(unique);
        let held = Mutex::default();
        let shared = Arc::new(Shared {
            namespace,
            sealer,
            link: RwLock::new(None),
            held,
            notices,
            clock: AtomicI64::new(0),
            probe,
        });
        let ending = CancellationToken::new();
        tokio::spawn(
            ending.clone().run_until_cancelled_owned(keep(shared.clone(), Builder::from_config(address.0))),
        );
        (Self { shared, _keeper: ending.drop_guard() }, receiver)
    }
}

/// Makes one link after the other.
async fn keep(shared: Arc<Shared>, builder: Builder) {
    let mut told = false;
    loop {
        match Link::open(&builder).await {
            Ok(link) => {
                told = false;
                tracing::info!("linked to Redis");
                let why = shared.serve(Arc::new(link)).await;
                tracing::warn!(why, "lost the link to Redis; clients of this node are served on");
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "no link to Redis yet; clients of this node are served, other nodes are not heard");
            }
            Err(_) => {}
        }
        sleep(PAUSE + PAUSE.mul_f64(jitter())).await;
    }
}

/// A number from 0 to 1.
fn jitter() -> f64 {
    f64::from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.subsec_micros())
            % 1_000,
    ) / 1_000.0
}

impl Shared {
    /// Uses a link until it breaks; the reason comes back.
    async fn serve(&self, link: Arc<Link>) -> String {
        self.held.lock().clear();
        self.clock.store(link.clock_ahead_ms(), Ordering::Relaxed);
        *self.link.write() = Some(link.clone());
        if self.notices.send(Notice::Up).await.is_err() {
            return "the node ends".to_owned();
        }
        let why = link.run(&self.probe, |message| self.on_message(message)).await;
        *self.link.write() = None;
        let _ = self.notices.send(Notice::Down).await;
        why
    }

    /// False when the node does not keep up.
    fn on_message(&self, message: &Message) -> bool {
        let Some(channel) = self.held.lock().get(&*message.channel).cloned() else { return true };
        match self.read(&channel, &message.value) {
            Some((at, entry)) => self.notices.try_send(Notice::Entry { channel, at, entry }).is_ok(),
            None => true,
        }
    }

    /// `epoch:number:entry`, as `append.lua` writes it.
    fn read(&self, channel: &ChannelName, value: &Value) -> Option<(Position, Entry)> {
        let Value::Bytes(bytes) = value else { return None };
        let mut parts = bytes.splitn(3, |byte| *byte == b':');
        let epoch = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let number = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let entry = bytes.slice_ref(parts.next()?);
        Some((Position { epoch, number }, self.open(channel, &entry)?))
    }

    /// What is in a sealed entry. A broken one is logged and dropped.
    fn open(&self, channel: &ChannelName, sealed: &Bytes) -> Option<Entry> {
        let topic = self.namespace.topic(channel);
        let opened = self.sealer.open(&topic, sealed).map_err(|error| error.to_string());
        let entry = opened.and_then(|bytes| Entry::decode(bytes).map_err(|error| error.to_string()));
        entry.inspect_err(|error| tracing::warn!(%channel, error, "dropped a message of another node")).ok()
    }

    fn link(&self) -> Result<Arc<Link>, EngineError> {
        self.link.read().clone().ok_or_else(|| EngineError::Down("there is no link".to_owned()))
    }
}

impl Engine for Redis {
    fn append<'a>(
        &'a self,
        append: &'a Append,
        keep: Option<(&'a str, Duration)>,
    ) -> BoxFuture<'a, Result<Answer, EngineError>> {
        async move {
            let answer =
                self.call(&APPEND, &self.log_keys(&append.channel), self.append_args(append, keep)).await?;
            let [taken, epoch, number]: [Value; 3] = fields(answer)?;
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
            let args = vec![epoch.into(), number.to_string().into()];
            let answer = self.call(&PAGE, &self.log_keys(channel), args).await?;
            let [epoch, number, entries]: [Value; 3] = fields(answer)?;
            Ok(Page { newest: position(&epoch, &number)?, entries: self.entries(channel, entries)? })
        }
        .boxed()
    }

    fn last_event<'a>(
        &'a self,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<Option<Kept>, EngineError>> {
        async move {
            let link = self.shared.link()?;
            let key = self.shared.namespace.last_event(channel);
            within(async {
                let text: Option<String> = link.commands.get(&key).await.map_err(down)?;
                let left: i64 = link.commands.pttl(&key).await.map_err(down)?;
                // A time below 0 says that there is none, or that the event went between the two questions.
                Ok(text.zip(u64::try_from(left).ok().map(Duration::from_millis)))
            })
            .await
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let link = self.shared.link()?;
            let topics = self.topics(channels);
            // Known before Redis confirms: the first message may come with the confirmation.
            self.shared.held.lock().extend(topics.iter().cloned().zip(channels.iter().cloned()));
            within(async { link.topics.ssubscribe(topics).await.map_err(down) }).await
        }
        .boxed()
    }

    fn now_ms(&self) -> u64 {
        let ours =
            UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        u64::try_from(ours + self.shared.clock.load(Ordering::Relaxed)).unwrap_or(0)
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            let link = self.shared.link()?;
            let topics = self.topics(channels);
            self.shared.held.lock().retain(|topic, _| !topics.contains(topic));
            within(async { link.topics.sunsubscribe(topics).await.map_err(down) }).await
        }
        .boxed()
    }
}

impl Redis {
    async fn call(&self, script: &Script, keys: &[String], args: Vec<Value>) -> Result<Value, EngineError> {
        let link = self.shared.link()?;
        within(async { script.call(&link.commands, keys, &args).await.map_err(down) }).await
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
        let (last, last_for) = keep.unwrap_or_default();
        vec![
            topic.into(),
            // The origin is random and the sequence never comes back: no two epochs are the same.
            fresh_epoch(append).to_string().into(),
            epoch.into(),
            number.to_string().into(),
            Value::Bytes(entry),
            LOG_BYTES.to_string().into(),
            KEEP.as_secs().to_string().into(),
            last.into(),
            last_for.as_millis().to_string().into(),
        ]
    }

    /// `number-0, entry, number-0, entry, …`; what cannot be opened is left out.
    fn entries(&self, channel: &ChannelName, flat: Value) -> Result<Vec<(u64, Entry)>, EngineError> {
        let Value::Array(flat) = flat else { return Err(EngineError::Answer("page.lua")) };
        let (pairs, _) = flat.as_chunks::<2>();
        let read = |[id, sealed]: &[Value; 2]| {
            let number = id.as_str()?.strip_suffix("-0")?.parse().ok()?;
            Some((number, self.shared.open(channel, &sealed.as_bytes().map(Bytes::copy_from_slice)?)?))
        };
        Ok(pairs.iter().filter_map(read).collect())
    }
}

/// The command's own answer, unless it takes too long.
async fn within<T>(command: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    timeout(COMMAND_TIME, command).await.unwrap_or(Err(EngineError::Timeout(COMMAND_TIME)))
}

fn fields<const N: usize>(value: Value) -> Result<[Value; N], EngineError> {
    let Value::Array(fields) = value else { return Err(EngineError::Answer("no list")) };
    fields.try_into().map_err(|_| EngineError::Answer("a list of another length"))
}

/// `None` for an empty epoch: there is no log.
fn position(epoch: &Value, number: &Value) -> Result<Option<Position>, EngineError> {
    let epoch = epoch.as_str().unwrap_or_default();
    if epoch.is_empty() {
        return Ok(None);
    }
    let epoch = epoch.parse().map_err(|_| EngineError::Answer("an epoch that is no number"))?;
    let number = number.as_u64().ok_or(EngineError::Answer("a number that is none"))?;
    Ok(Some(Position { epoch, number }))
}

#[expect(clippy::cast_possible_truncation, reason = "half of the random bits are enough")]
fn fresh_epoch(append: &Append) -> u64 {
    (append.entry.origin.0 as u64).wrapping_add(append.entry.sequence)
}
