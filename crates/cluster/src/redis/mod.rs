//! Redis (7 or newer) or Valkey as the place where nodes meet: sharded pub/sub, a stream per channel, short scripts.
//!
//! [`address`] says where it is, [`link`] owns the connections, [`commands`] what an app asks, [`queries`] what is counted,
//! [`leases`] who lives, [`plain`] what other roles keep; here is what comes by itself. Every script touches one partition,
//! so one slot. Nothing read from Redis is trusted: what is not sealed is counted and dropped ([`complaints`]), a key of
//! another type is deleted ([`script`]).

mod address;
mod commands;
mod complaints;
mod hooks;
mod leases;
mod link;
mod plain;
mod queries;
mod script;
mod shards;
mod version;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use fred::types::{Builder, Message};
use gema_protocol::channel::ChannelName;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::engine::{EngineError, Notice, Notices};
use crate::entry::Entry;
use crate::inbox::Position;
use crate::name::{Namespace, Partition};
use crate::replica::Delta;
use crate::seal::Sealer;
use crate::telling::decode;
use crate::webhook::Rules;
pub use address::Address;
use complaints::Complaints;
pub use fred::types::Value;
use hooks::Relied;
use leases::{dead_node, death_topic};
use link::{Current, Link};
pub use plain::{Away, COMMAND_TIME, Plain};
pub use script::Script;

/// Notices that may wait for the node.
const NOTICES: usize = 65_536;
/// Shortest pause before a new link is tried; up to as much again is added, so that nodes do not come in step.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of the longest value or message that is looked at. No request, and so no event, is longer.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What Redis says when its operator must act.
const DENIALS: [&str; 5] = ["NOPERM", "ACL failure", "OOM", "MISCONF", "NOREPLICAS"];
/// What begins a message that lets every node tell again.
const LOST: &[u8] = b"lost:";
const NO_NUMBERS: &str = "it does not begin with two numbers";

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
    /// A topic in each partition that nobody else has: what is sent there must come back.
    probes: Arc<[String]>,
    /// What was found in Redis and is none of ours.
    refused: Complaints,
    /// What Redis refuses us.
    denied: Complaints,
    /// Why there was no link when one was tried last.
    trouble: Mutex<Option<EngineError>>,
    /// Which webhooks are decided about.
    rules: RwLock<Option<Rules>>,
    /// What of this node's channels was confirmed when, if there are webhooks.
    relied: Mutex<HashMap<ChannelName, Relied>>,
}

impl Redis {
    /// Begins to make a link and goes on for ever, whether or not Redis is there. `unique` tells this process from all
    /// others.
    pub fn start(address: Address, namespace: Namespace, sealer: Sealer, unique: u128) -> (Self, Notices) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let probes = Partition::all().map(|partition| namespace.probe(partition, unique)).collect();
        let (builder, patience, lease) = address.into_parts();
        let shared = Arc::new(Shared {
            namespace,
            sealer,
            link: RwLock::new(None),
            held: Mutex::default(),
            notices,
            clock: Mutex::default(),
            patience,
            lease,
            probes,
            refused: Complaints::default(),
            denied: Complaints::default(),
            trouble: Mutex::default(),
            rules: RwLock::new(None),
            relied: Mutex::default(),
        });
        let ending = CancellationToken::new();
        tokio::spawn(ending.clone().run_until_cancelled_owned(keep(shared.clone(), builder)));
        (Self { shared, _keeper: ending.drop_guard() }, receiver)
    }

    /// Why there is no link, if one was tried in vain.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().as_ref().map(ToString::to_string)
    }
}

/// Makes one link after the other.
async fn keep(shared: Arc<Shared>, builder: Builder) {
    loop {
        match Link::open(&builder, shared.patience, shared.probes.clone()).await {
            Ok(link) => {
                *shared.trouble.lock() = None;
                shared.use_up(link).await;
            }
            Err(error) => complain(error, &mut shared.trouble.lock()),
        }
        sleep(PAUSE + PAUSE.mul_f64(jitter())).await;
    }
}

/// Says why there is no link, once as long as the reason stays the same.
fn complain(error: EngineError, said: &mut Option<EngineError>) {
    if said.as_ref() == Some(&error) {
        return;
    }
    if matches!(error, EngineError::Unfit(_)) {
        tracing::error!(%error, "the Redis is not used; clients of this node are served, other nodes are not heard");
    } else {
        tracing::warn!(%error, "no link to Redis; clients of this node are served, other nodes are not heard");
    }
    *said = Some(error);
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
        let messages = link.messages();
        *self.link.write() = Some(link.clone());
        if self.notices.send(Notice::Up).await.is_err() {
            return "the node ends".to_owned();
        }
        let why = link.run(messages, |message| self.on_message(message)).await;
        *self.link.write() = None;
        let _ = self.notices.send(Notice::Down).await;
        why
    }

    /// False when the node does not keep up.
    fn on_message(&self, message: &Message) -> bool {
        let Some(channel) = self.held.lock().get(&*message.channel).cloned() else { return true };
        let notice = bytes_of(&message.value, MOST_BYTES).and_then(|bytes| self.notice(&channel, &bytes));
        match notice {
            Ok(notice) => self.notices.try_send(notice).is_ok(),
            Err(why) => {
                self.refuse(&channel, &why);
                true
            }
        }
    }

    fn notice(&self, channel: &ChannelName, bytes: &Bytes) -> Result<Notice, String> {
        if let Some(change) = bytes.strip_prefix(b"facts:") {
            self.delta(channel, &bytes.slice_ref(change))
        } else if let Some(death) = bytes.strip_prefix(b"gone:") {
            self.death(channel, &bytes.slice_ref(death))
        } else if let Some(sealed) = bytes.strip_prefix(LOST) {
            self.read(&self.loss_topic(), &bytes.slice_ref(sealed), |_| Ok(Notice::Lost))
        } else {
            self.entry(channel, bytes)
        }
    }

    /// `epoch:number:entry`, as `append.lua` writes it.
    fn entry(&self, channel: &ChannelName, bytes: &Bytes) -> Result<Notice, String> {
        let (epoch, number, sealed) = split(bytes).ok_or(NO_NUMBERS)?;
        let entry = self.read(&self.namespace.topic(channel), &sealed, |bytes| {
            Entry::decode(bytes).map_err(|error| error.to_string())
        })?;
        Ok(Notice::Entry { channel: channel.clone(), at: Position { epoch, number }, entry })
    }

    /// `follows:version:change`, as `facts.lua` writes it.
    fn delta(&self, channel: &ChannelName, bytes: &Bytes) -> Result<Notice, String> {
        let (follows, version, sealed) = split(bytes).ok_or(NO_NUMBERS)?;
        let read = |bytes| decode(bytes, follows, version).map_err(|error| error.to_string());
        let delta = self.read(&self.namespace.topic(channel), &sealed, read)?;
        Ok(Notice::Delta { channel: channel.clone(), delta })
    }

    /// `follows:version:notice`, as `reap.lua` writes it.
    fn death(&self, channel: &ChannelName, bytes: &Bytes) -> Result<Notice, String> {
        let (follows, version, sealed) = split(bytes).ok_or(NO_NUMBERS)?;
        let topic = death_topic(&self.namespace, channel);
        let read = |bytes| dead_node(&bytes).ok_or_else(|| "no id of a node".to_owned());
        let gone = Some(self.read(&topic, &sealed, read)?);
        let delta = Delta { follows, version, facts: Vec::new(), count: None, gone };
        Ok(Notice::Delta { channel: channel.clone(), delta })
    }

    /// What is in a message that was sealed for a topic or a key.
    fn read<T>(
        &self,
        topic: &str,
        sealed: &Bytes,
        read: impl FnOnce(Bytes) -> Result<T, String>,
    ) -> Result<T, String> {
        self.sealer.open(topic, sealed).map_err(|error| error.to_string()).and_then(read)
    }

    /// What the message is sealed for that lets every node tell again.
    fn loss_topic(&self) -> String {
        format!("lost:{}", self.namespace.topic(&ChannelName::control()))
    }

    /// Counts what is not believed, and logs the first of each kind. `at`: its channel or key.
    fn refuse(&self, at: &str, why: &str) {
        if self.refused.is_first(why) {
            tracing::warn!(at, why, "dropped what Redis had; more of this kind is counted only");
        }
    }

    /// What could be read of the finds in a channel or key; the others are refused.
    fn believed<T>(&self, at: &str, finds: impl Iterator<Item = Result<T, String>>) -> Vec<T> {
        finds.filter_map(|find| find.map_err(|why| self.refuse(at, &why)).ok()).collect()
    }

    /// Says once what an operator can do something about: a missing right, a full memory, a disk that cannot be written.
    fn explain(&self, link: &Link, error: &EngineError) {
        let EngineError::Down(text) = error else { return };
        if text.contains("READONLY") || text.contains("MASTERDOWN") {
            link.is_demoted();
        }
        if DENIALS.iter().any(|denial| text.contains(denial)) && self.denied.is_first(text) {
            tracing::error!(%error, "Redis refuses what this node needs of it; docs/redis.md lists it");
        }
    }

    fn link(&self) -> Result<Arc<Link>, EngineError> {
        self.link.read().clone().ok_or_else(|| EngineError::Down("there is no link".to_owned()))
    }
}

/// Two numbers and the rest, with colons between them.
fn split(bytes: &Bytes) -> Option<(u64, u64, Bytes)> {
    let mut parts = bytes.splitn(3, |byte| *byte == b':');
    let number = |part: Option<&[u8]>| str::from_utf8(part?).ok()?.parse().ok();
    Some((number(parts.next())?, number(parts.next())?, bytes.slice_ref(parts.next()?)))
}

/// fred takes for text whatever could be text.
fn bytes_of(value: &Value, most: usize) -> Result<Bytes, String> {
    let bytes = match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::String(text) => text.inner().clone(),
        _ => return Err("it is no text".to_owned()),
    };
    if bytes.len() > most { Err(format!("it has more than {most} bytes")) } else { Ok(bytes) }
}
