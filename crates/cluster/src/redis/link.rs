//! The process's link to Redis: one connection for commands, one for topics, made anew for ever.
//!
//! fred reconnects nothing here. A broken link is dropped whole and a new one is made, so that there is one way back from
//! every fault. A link proves itself: what is published to a topic of its own must come back.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::{Builder, ClusterHash, CustomCommand, InfoKind, Message};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::clock::Look;
use crate::engine::EngineError;

/// How long the network may take to reach Redis, and how long the first words may take in all: a busy machine is slow, a
/// black hole is silent.
const CONNECT_TIME: Duration = Duration::from_secs(1);
const OPEN_TIME: Duration = Duration::from_secs(3);
/// How often a link proves itself.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// How long the proof may take.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// Messages that may wait for us inside fred; it drops what is more, and then so do we with the link. fred takes the room
/// at once, nine times over.
const MESSAGES: usize = 16_384;
/// Looks at the server's clock.
const CLOCK_LOOKS: usize = 3;
/// The oldest Redis that knows sharded pub/sub.
const OLDEST: u32 = 7;

/// An open link.
pub(super) struct Link {
    pub(super) commands: Client,
    pub(super) topics: Client,
    looks: Vec<Look>,
    patience: u32,
    tasks: [JoinHandle<Result<(), fred::error::Error>>; 2],
}

impl Link {
    /// Connects both halves and looks at the server's version.
    pub(super) async fn open(builder: &Builder, patience: u32) -> Result<Self, EngineError> {
        let limit = OPEN_TIME * patience;
        timeout(limit, Self::connect(builder, patience)).await.map_err(|_| EngineError::Timeout(limit))?
    }

    async fn connect(builder: &Builder, patience: u32) -> Result<Self, EngineError> {
        let mut builder = builder.clone();
        builder.with_connection_config(|config| {
            config.connection_timeout = CONNECT_TIME * patience;
            config.max_command_attempts = 1;
            config.tcp.nodelay = Some(true);
        });
        let commands = builder.build().map_err(down)?;
        builder.with_performance_config(|config| config.broadcast_channel_capacity = MESSAGES);
        let topics = builder.build().map_err(down)?;
        let tasks = [commands.init().await.map_err(down)?, topics.init().await.map_err(down)?];
        let mut link = Self { commands, topics, looks: Vec::new(), patience, tasks };
        link.check_version().await?;
        link.read_clock().await?;
        Ok(link)
    }

    /// What it has seen of the server's clock.
    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    async fn read_clock(&mut self) -> Result<(), EngineError> {
        for _ in 0..CLOCK_LOOKS {
            let asked = unix_us();
            let theirs = self.ask_time().await?;
            self.looks.push(Look { asked, theirs, answered: unix_us() });
        }
        Ok(())
    }

    /// The server's clock in microseconds since 1970.
    async fn ask_time(&self) -> Result<i64, EngineError> {
        let command = CustomCommand::new_static("TIME", ClusterHash::Random, false);
        let time: Vec<i64> = self.commands.custom(command, Vec::<String>::new()).await.map_err(down)?;
        let [seconds, micros] = time[..] else { return Err(EngineError::Answer("TIME")) };
        Ok(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }

    async fn check_version(&self) -> Result<(), EngineError> {
        let info: String = self.commands.info(Some(InfoKind::Server)).await.map_err(down)?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0_u32);
        if major < OLDEST {
            return Err(EngineError::Down(format!(
                "Redis {version} is too old for sharded pub/sub; Redis {OLDEST} or newer, or Valkey, is needed"
            )));
        }
        Ok(())
    }

    /// Passes on what comes, until the link breaks or does not hear itself: the reason comes back.
    pub(super) async fn run(&self, probe: &str, mut pass_on: impl FnMut(&Message) -> bool) -> String {
        let mut messages = self.topics.message_rx();
        let (mut command_errors, mut topic_errors) = (self.commands.error_rx(), self.topics.error_rx());
        match timeout(PROBE_TIME * self.patience, self.topics.ssubscribe(probe)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "no topic was confirmed in time".to_owned(),
        }
        let mut ticks = interval(PROBE_PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                // What has come already is heard before the silence is judged.
                biased;
                message = messages.recv() => match message {
                    Ok(message) if message.channel == probe => heard = Instant::now(),
                    Ok(message) if pass_on(&message) => {}
                    Ok(_) => return "this node does not keep up with the messages of its topics".to_owned(),
                    Err(RecvError::Lagged(count)) => return format!("{count} messages came faster than they were read"),
                    Err(RecvError::Closed) => return "the connection ended".to_owned(),
                },
                Ok((error, _)) = command_errors.recv() => return error.to_string(),
                Ok((error, _)) = topic_errors.recv() => return error.to_string(),
                _ = ticks.tick() => {
                    if heard.elapsed() > PROBE_TIME * self.patience {
                        return format!("no sign of life for {} s", heard.elapsed().as_secs());
                    }
                    let sent = self.commands.spublish::<i64, _, _>(probe, "?");
                    if !matches!(timeout(PROBE_PAUSE, sent).await, Ok(Ok(_)) | Err(_)) {
                        return "the connection broke".to_owned();
                    }
                }
            }
        }
    }
}

/// This machine's clock in microseconds since 1970.
pub(super) fn unix_us() -> i64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// fred's error as ours.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn down(error: fred::error::Error) -> EngineError {
    EngineError::Down(error.to_string())
}

/// The link of the moment, if it stands.
pub(super) type Current = parking_lot::RwLock<Option<Arc<Link>>>;
