//! A link for plain commands, without topics: for what a role keeps in a Redis and can do without.
//!
//! It is made anew for ever. While it is known to be down nobody waits for it; a command that has no answer within
//! [`COMMAND_TIME`] takes it down. What is done instead is the caller's business, so an error says no more than [`Away`].

use std::sync::Arc;
use std::time::Duration;

use fred::error::Error;
use fred::error::ErrorKind::{Auth, InvalidArgument, InvalidCommand, Unknown};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use fred::util::redis_keyslot;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::complaints::Complaints;
use super::link::{Connected, configured, down};
use super::script::Script;
use super::{PAUSE, jitter, version};
use crate::engine::EngineError;

/// How long a command may take.
pub const COMMAND_TIME: Duration = Duration::from_millis(250);
/// How long connecting may take in all.
const OPEN_TIME: Duration = Duration::from_secs(3);
/// How often an idle link proves itself, and how long it may take for that: a blocking command may be under way.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_TIME: Duration = Duration::from_secs(2);

/// What a server says that can do nothing for us at the moment, while another may.
const DEMOTIONS: [&str; 4] = ["READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN"];

/// There is no link to Redis, or it gave no good answer. Why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Away;

/// The link. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct Plain {
    shared: Arc<Shared>,
    _keeper: Arc<DropGuard>,
}

struct Shared {
    /// The link of the moment, and since when it stands.
    link: RwLock<Option<(Arc<Connected>, Instant)>>,
    /// Why the link is to be given up.
    broken: Mutex<Option<String>>,
    gave_up: Notify,
    denied: Complaints,
    patience: u32,
    instead: &'static str,
}

impl Plain {
    /// Begins to make a link, whether or not Redis is there. `instead` tells the log who serves while it is not, as in
    /// "the database serves".
    #[must_use]
    pub fn start(address: Address, instead: &'static str) -> Self {
        let (builder, patience, _) = address.into_parts();
        let shared = Arc::new(Shared {
            link: RwLock::new(None),
            broken: Mutex::new(None),
            gave_up: Notify::new(),
            denied: Complaints::default(),
            patience,
            instead,
        });
        let ending = CancellationToken::new();
        tokio::spawn(ending.clone().run_until_cancelled_owned(keep(shared.clone(), builder)));
        Self { shared, _keeper: Arc::new(ending.drop_guard()) }
    }

    /// For how long the link has stood without a break; `None`: it is down. What Redis had before that it may have
    /// forgotten.
    #[must_use]
    pub fn stands_for(&self) -> Option<Duration> {
        self.shared.link.read().as_ref().map(|(_, since)| since.elapsed())
    }

    /// A command on one key.
    ///
    /// # Errors
    /// [`Away`], at once or after [`COMMAND_TIME`].
    pub async fn call(&self, command: &'static str, key: &str, args: Vec<Value>) -> Result<Value, Away> {
        self.call_for(Duration::ZERO, command, key, args).await
    }

    /// As [`Plain::call`], for a command that Redis holds back for up to `wait` (1 s at most, and on a link that nothing
    /// else uses: whatever comes after it waits, too).
    ///
    /// # Errors
    /// [`Away`], at once or [`COMMAND_TIME`] after `wait`.
    pub async fn call_for(
        &self,
        wait: Duration,
        command: &'static str,
        key: &str,
        args: Vec<Value>,
    ) -> Result<Value, Away> {
        let slot = ClusterHash::Custom(redis_keyslot(key.as_bytes()));
        let command = CustomCommand::new_static(command, slot, !wait.is_zero());
        let args: Vec<Value> = std::iter::once(key.into()).chain(args).collect();
        let link = self.link()?;
        self.within(wait, &link, link.custom(command, args)).await
    }

    /// A script over keys of one slot.
    ///
    /// # Errors
    /// As [`Plain::call`].
    pub async fn run(&self, script: &Script, keys: &[String], args: &[Value]) -> Result<Value, Away> {
        let link = self.link()?;
        let called = async { Ok(script.call(&link, keys, args).await?.answer) };
        self.within(Duration::ZERO, &link, called).await
    }

    async fn within(
        &self,
        wait: Duration,
        link: &Arc<Connected>,
        work: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Value, Away> {
        match timeout(wait + COMMAND_TIME * self.shared.patience, work).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.shared.judge(link, &error),
            Err(_) => self.shared.give_up(link, "a command had no answer in time"),
        }
        Err(Away)
    }

    fn link(&self) -> Result<Arc<Connected>, Away> {
        self.shared.link.read().as_ref().map(|(link, _)| link.clone()).ok_or(Away)
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({:?})", self.stands_for())
    }
}

/// Makes one link after the other; says what changes.
async fn keep(shared: Arc<Shared>, builder: Builder) {
    let mut said = None;
    loop {
        let why = match timeout(OPEN_TIME * shared.patience, open(&builder, shared.patience)).await {
            Ok(Ok(link)) => {
                tracing::info!("linked to Redis");
                said = None;
                shared.serve(Arc::new(link)).await
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => EngineError::Timeout(OPEN_TIME * shared.patience).to_string(),
        };
        if said.as_ref() != Some(&why) {
            tracing::warn!(why, "no link to Redis: {}", shared.instead);
            said = Some(why);
        }
        sleep(PAUSE + PAUSE.mul_f64(jitter())).await;
    }
}

async fn open(builder: &Builder, patience: u32) -> Result<Connected, EngineError> {
    let link = Connected::new(&configured(builder, patience)).await?;
    version::check_of(&link).await?;
    ping(&link).await.map_err(down)?;
    Ok(link)
}

async fn ping(link: &Connected) -> Result<Value, Error> {
    let ping = CustomCommand::new_static("PING", ClusterHash::Random, false);
    link.custom(ping, Vec::<String>::new()).await
}

impl Shared {
    /// Lends the link until it breaks: the reason comes back.
    async fn serve(&self, link: Arc<Connected>) -> String {
        let mut errors = link.error_rx();
        *self.broken.lock() = None;
        *self.link.write() = Some((link.clone(), Instant::now()));
        let why = tokio::select! {
            Ok((error, _)) = errors.recv() => error.to_string(),
            why = self.prove(&link) => why,
            why = self.given_up() => why,
        };
        *self.link.write() = None;
        why
    }

    async fn prove(&self, link: &Connected) -> String {
        loop {
            sleep(PROBE_PAUSE).await;
            if link.is_over() {
                return "the connection ended".to_owned();
            }
            match timeout(PROBE_TIME * self.patience, ping(link)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("no sign of life for {} s", PROBE_TIME.as_secs()),
            }
        }
    }

    async fn given_up(&self) -> String {
        loop {
            self.gave_up.notified().await;
            if let Some(why) = self.broken.lock().take() {
                return why;
            }
        }
    }

    /// What a Redis says that works is for the operator; anything else casts doubt on the link.
    fn judge(&self, link: &Arc<Connected>, error: &Error) {
        let text = error.to_string();
        let is_said = matches!(error.kind(), Auth | InvalidArgument | InvalidCommand | Unknown);
        if !is_said || DEMOTIONS.iter().any(|demotion| text.contains(demotion)) {
            return self.give_up(link, &text);
        }
        if self.denied.is_first(&text) {
            tracing::error!(error = text, "Redis refuses what this role needs of it; docs/redis.md lists it");
        }
    }

    /// From now on nobody waits for this link.
    fn give_up(&self, broken: &Arc<Connected>, why: &str) {
        let mut link = self.link.write();
        if link.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, broken)) {
            *link = None;
            *self.broken.lock() = Some(why.to_owned());
            self.gave_up.notify_one();
        }
    }
}
