//! Redis (7 or newer) or Valkey as the place where nodes meet: sharded pub/sub, a stream per channel, short scripts.
//!
//! [`link`] owns the connections, [`commands`] what an app asks, [`queries`] what is counted; here is what comes by itself. Every script touches one
//! partition, so one slot.

mod commands;
mod leases;
mod link;
mod queries;
mod script;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use fred::types::config::Config;
use fred::types::{Builder, Message, Value};
use gema_protocol::channel::ChannelName;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::engine::{EngineError, Notice, Notices};
use crate::entry::Entry;
use crate::inbox::Position;
use crate::lease::LEASE;
use crate::name::Namespace;
use crate::replica::Delta;
use crate::seal::Sealer;
use crate::telling::decode;
use leases::{dead_node, death_topic};
use link::{Current, Link};

/// Notices that may wait for the node.
const NOTICES: usize = 65_536;
/// Shortest pause before a new link is tried; up to as much again is added, so that nodes do not come in step.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a Redis is and how to get in. `Debug` shows nothing of it: it may hold a password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    patience: u32,
    lease: Duration,
}

impl Address {
    /// A URL: `redis://`, `rediss://` (TLS), `redis-cluster://`, `redis-sentinel://…?sentinelServiceName=`, with user,
    /// password, port and database; further hosts as `node=host:port` in the query.
    ///
    /// # Errors
    /// One sentence without the URL's secrets.
    pub fn parse(url: &str) -> Result<Self, String> {
        Config::from_url(url)
            .map(|config| Self { config, patience: 1, lease: LEASE })
            .map_err(|error| format!("it is no address of a Redis: {}", error.details()))
    }

    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> u16 {
        self.config.database.unwrap_or_default().into()
    }

    /// Lets everything take so many times as long before the link counts as broken: a machine that does much else at once
    /// is slower than any network.
    #[must_use]
    pub fn patient(self, times: u32) -> Self {
        Self { patience: times, ..self }
    }

    /// Lets leases end after another time than [`LEASE`], the same for all nodes: for tests, which have no time to wait.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
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
    /// Redis' clock.
    clock: Mutex<Clock>,
    /// How many times as long as usual everything may take.
    patience: u32,
    /// How long a lease stands.
    lease: Duration,
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
            clock: Mutex::default(),
            patience: address.patience,
            lease: address.lease,
            probe,
        });
        let ending = CancellationToken::new();
        tokio::spawn(
            ending
                .clone()
                .run_until_cancelled_owned(keep(shared.clone(), Builder::from_config(address.config))),
        );
        (Self { shared, _keeper: ending.drop_guard() }, receiver)
    }
}

/// Makes one link after the other.
async fn keep(shared: Arc<Shared>, builder: Builder) {
    let mut complained = false;
    loop {
        match Link::open(&builder, shared.patience).await {
            Ok(link) => {
                complained = false;
                shared.use_up(link).await;
            }
            Err(error) => complain(&error, &mut complained),
        }
        sleep(PAUSE + PAUSE.mul_f64(jitter())).await;
    }
}

/// Says once that there is no link, not with each try.
fn complain(error: &EngineError, complained: &mut bool) {
    if !std::mem::replace(complained, true) {
        tracing::warn!(%error, "no link to Redis; clients of this node are served, other nodes are not heard");
    }
}

/// A number from 0 to 1.
fn jitter() -> f64 {
    let micros = UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_micros());
    f64::from(micros % 1_000) / 1_000.0
}

impl Shared {
    /// Uses a link until it breaks, and says so.
    async fn use_up(&self, link: Link) {
        tracing::info!("linked to Redis");
        let why = self.serve(Arc::new(link)).await;
        tracing::warn!(why, "lost the link to Redis; clients of this node are served on");
    }

    /// The reason why the link broke comes back.
    async fn serve(&self, link: Arc<Link>) -> String {
        self.held.lock().clear();
        link.looks().iter().for_each(|look| self.clock.lock().learn(*look));
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
        let Value::Bytes(bytes) = &message.value else { return true };
        let notice = if let Some(change) = bytes.strip_prefix(b"facts:") {
            self.delta(&channel, &bytes.slice_ref(change))
        } else if let Some(death) = bytes.strip_prefix(b"gone:") {
            self.death(&channel, &bytes.slice_ref(death))
        } else {
            self.entry(&channel, bytes)
        };
        notice.is_none_or(|notice| self.notices.try_send(notice).is_ok())
    }

    /// `epoch:number:entry`, as `append.lua` writes it.
    fn entry(&self, channel: &ChannelName, bytes: &Bytes) -> Option<Notice> {
        let [epoch, number, sealed] = split(bytes)?;
        let at = Position { epoch: as_number(&epoch)?, number: as_number(&number)? };
        let entry =
            self.open(channel, &sealed, |bytes| Entry::decode(bytes).map_err(|error| error.to_string()))?;
        Some(Notice::Entry { channel: channel.clone(), at, entry })
    }

    /// `follows:version:change`, as `facts.lua` writes it.
    fn delta(&self, channel: &ChannelName, bytes: &Bytes) -> Option<Notice> {
        let [follows, version, sealed] = split(bytes)?;
        let (follows, version) = (as_number(&follows)?, as_number(&version)?);
        let read = |bytes| decode(bytes, follows, version).map_err(|error| error.to_string());
        let delta = self.open(channel, &sealed, read)?;
        Some(Notice::Delta { channel: channel.clone(), delta })
    }

    /// `follows:version:notice`, as `reap.lua` writes it.
    fn death(&self, channel: &ChannelName, bytes: &Bytes) -> Option<Notice> {
        let [follows, version, sealed] = split(bytes)?;
        let (follows, version) = (as_number(&follows)?, as_number(&version)?);
        let topic = death_topic(&self.namespace, channel);
        let read = |bytes| dead_node(&bytes).ok_or_else(|| "no id of a node".to_owned());
        let gone = Some(self.open_for(&topic, channel, &sealed, read)?);
        let delta = Delta { follows, version, facts: Vec::new(), count: None, gone };
        Some(Notice::Delta { channel: channel.clone(), delta })
    }

    /// What is in a sealed message. A broken one is logged and dropped.
    fn open<T>(
        &self,
        channel: &ChannelName,
        sealed: &Bytes,
        read: impl FnOnce(Bytes) -> Result<T, String>,
    ) -> Option<T> {
        self.open_for(&self.namespace.topic(channel), channel, sealed, read)
    }

    fn open_for<T>(
        &self,
        topic: &str,
        channel: &ChannelName,
        sealed: &Bytes,
        read: impl FnOnce(Bytes) -> Result<T, String>,
    ) -> Option<T> {
        let opened = self.sealer.open(topic, sealed).map_err(|error| error.to_string()).and_then(read);
        opened.inspect_err(|error| tracing::warn!(%channel, error, "dropped a message of another node")).ok()
    }

    fn link(&self) -> Result<Arc<Link>, EngineError> {
        self.link.read().clone().ok_or_else(|| EngineError::Down("there is no link".to_owned()))
    }
}

/// Two numbers and the rest, with colons between them.
fn split(bytes: &Bytes) -> Option<[Bytes; 3]> {
    let mut parts = bytes.splitn(3, |byte| *byte == b':');
    let mut part = || parts.next().map(|part| bytes.slice_ref(part));
    Some([part()?, part()?, part()?])
}

fn as_number(text: &Bytes) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
