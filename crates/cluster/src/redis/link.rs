//! The process's link to Redis: one client for commands, one for topics, made anew for ever.
//!
//! fred reconnects nothing here. A broken link is dropped whole and a new one is made, so that there is one way back from
//! every fault. A link proves itself before it counts, and every second from then on: what is published to a topic of its
//! own, one on each shard, must come back. In a Cluster a link stands for one layout; when slots move, it is dropped, too.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::{Builder, ClusterHash, ConnectHandle, CustomCommand, Message, Value};
use fred::util::redis_keyslot;
use futures_util::future::{join_all, try_join_all};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::shards::Layout;
use super::version;
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
/// Topics asked for at once.
const AT_ONCE: usize = 256;

/// An open link.
pub(super) struct Link {
    pub(super) commands: Connected,
    pub(super) topics: Connected,
    looks: Vec<Look>,
    patience: u32,
    layout: Layout,
    /// The topic that proves a shard, with the time when it did so last.
    probes: Vec<(String, Mutex<Instant>)>,
    /// One topic for each partition: the probes are taken from them.
    candidates: Arc<[String]>,
    demoted: Notify,
}

/// A client and the task that drives it: neither outlives the other, whatever becomes of the attempt to connect.
pub(super) struct Connected {
    client: Client,
    task: ConnectHandle,
}

impl Connected {
    pub(super) async fn new(builder: &Builder) -> Result<Self, EngineError> {
        let client = builder.build().map_err(down)?;
        let task = client.connect();
        let mut this = Self { client, task };
        tokio::select! {
            connected = this.client.wait_for_connect() => connected.map_err(down)?,
            ended = &mut this.task => match ended {
                Ok(Err(error)) => return Err(down(error)),
                _ => return Err(EngineError::Down("the connection ended".to_owned())),
            },
        }
        Ok(this)
    }

    /// Whether the connection has ended.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl std::ops::Deref for Connected {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Connects both halves, looks at the servers' version and hears itself on every shard. `candidates`: a topic of this
    /// process alone in each partition.
    pub(super) async fn open(
        builder: &Builder,
        patience: u32,
        candidates: Arc<[String]>,
    ) -> Result<Self, EngineError> {
        let limit = OPEN_TIME * patience;
        timeout(limit, Self::connect(builder, patience, candidates))
            .await
            .map_err(|_| EngineError::Timeout(limit))?
    }

    async fn connect(
        builder: &Builder,
        patience: u32,
        candidates: Arc<[String]>,
    ) -> Result<Self, EngineError> {
        let mut builder = configured(builder, patience);
        let commands = Connected::new(&builder).await?;
        builder.with_performance_config(|config| config.broadcast_channel_capacity = MESSAGES);
        let topics = Connected::new(&builder).await?;
        let layout = layout(&commands, &candidates).await?;
        let heard = |topic| (topic, Mutex::new(Instant::now()));
        let probes = layout.one_each(&candidates).into_iter().map(heard).collect();
        let mut link = Self {
            commands,
            topics,
            looks: Vec::new(),
            patience,
            layout,
            probes,
            candidates,
            demoted: Notify::new(),
        };
        link.check_versions().await?;
        link.read_clock().await?;
        link.hear_itself().await?;
        Ok(link)
    }

    /// What it has seen of the server's clock.
    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// Holds topics: confirmed, all of them, when this returns. Each is asked for alone, since fred takes the first
    /// confirmation of several for the whole, and the others for those of the next request.
    pub(super) async fn hold(&self, topics: &[String]) -> Result<(), EngineError> {
        for some in topics.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|topic| self.topics.ssubscribe(topic))).await.map_err(down)?;
        }
        Ok(())
    }

    /// Lets topics go; each alone, since they may lie on different shards.
    pub(super) async fn let_go(&self, topics: &[String]) -> Result<(), EngineError> {
        try_join_all(topics.iter().map(|topic| self.topics.sunsubscribe(topic))).await.map_err(down)?;
        Ok(())
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

    async fn check_versions(&self) -> Result<(), EngineError> {
        for (topic, _) in &self.probes {
            let slot = ClusterHash::Custom(redis_keyslot(topic.as_bytes()));
            let hello = CustomCommand::new_static("HELLO", slot, false);
            version::check(self.commands.custom(hello, Vec::<String>::new()).await)?;
        }
        Ok(())
    }

    /// Waits for the first proof of every shard.
    async fn hear_itself(&self) -> Result<(), EngineError> {
        let mut messages = self.topics.message_rx();
        let topics: Vec<_> = self.probes.iter().map(|(topic, _)| topic.clone()).collect();
        self.hold(&topics).await?;
        try_join_all(topics.iter().map(|topic| self.commands.spublish::<i64, _, _>(topic, "?")))
            .await
            .map_err(down)?;
        let mut silent = topics;
        while !silent.is_empty() {
            let message =
                messages.recv().await.map_err(|_| EngineError::Down("the connection ended".to_owned()))?;
            silent.retain(|topic| *message.channel != **topic);
        }
        Ok(())
    }

    /// Ends the link to a server that takes no writes any more: its topics may go on as if nothing were.
    pub(super) fn is_demoted(&self) {
        self.demoted.notify_one();
    }

    /// All messages from now on: taken before anybody can hold a topic, or the first could be missed.
    pub(super) fn messages(&self) -> Receiver<Message> {
        self.topics.message_rx()
    }

    /// Passes on what comes, until the link breaks or does not hear itself: the reason comes back.
    pub(super) async fn run(
        &self,
        messages: Receiver<Message>,
        pass_on: impl FnMut(&Message) -> bool,
    ) -> String {
        tokio::select! {
            // What has come already is heard before the silence is judged.
            biased;
            why = self.listen(messages, pass_on) => why,
            why = self.prove() => why,
            () = self.demoted.notified() => "the Redis has become a replica".to_owned(),
        }
    }

    async fn listen(
        &self,
        mut messages: Receiver<Message>,
        mut pass_on: impl FnMut(&Message) -> bool,
    ) -> String {
        let (mut command_errors, mut topic_errors) = (self.commands.error_rx(), self.topics.error_rx());
        self.probes.iter().for_each(|(_, heard)| *heard.lock() = Instant::now());
        loop {
            tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Ok(message) if self.is_proof(&message) || pass_on(&message) => {}
                    Ok(_) => return "this node does not keep up with the messages of its topics".to_owned(),
                    Err(RecvError::Lagged(count)) => return format!("{count} messages came faster than they were read"),
                    Err(RecvError::Closed) => return "the connection ended".to_owned(),
                },
                Ok((error, _)) = command_errors.recv() => return error.to_string(),
                Ok((error, _)) = topic_errors.recv() => return error.to_string(),
            }
        }
    }

    fn is_proof(&self, message: &Message) -> bool {
        let probe = self.probes.iter().find(|(topic, _)| *message.channel == **topic);
        probe.is_some_and(|(_, heard)| {
            *heard.lock() = Instant::now();
            true
        })
    }

    /// Sends every shard its proof, and looks for those that do not come back.
    async fn prove(&self) -> String {
        let mut ticks = interval(PROBE_PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let silence =
                self.probes.iter().map(|(_, heard)| heard.lock().elapsed()).max().unwrap_or_default();
            if silence > PROBE_TIME * self.patience {
                return format!("no sign of life for {} s", silence.as_secs());
            }
            if self.commands.is_over() || self.topics.is_over() {
                return "the connection ended".to_owned();
            }
            // Without an answer in time the silence will tell.
            if let Ok(Err(why)) = timeout(PROBE_PAUSE, self.prove_once()).await {
                return why;
            }
        }
    }

    async fn prove_once(&self) -> Result<(), String> {
        let sent = self.probes.iter().map(|(topic, _)| self.commands.spublish::<i64, _, _>(topic, "?"));
        for sent in join_all(sent).await {
            sent.map_err(|error| format!("the connection broke: {error}"))?;
        }
        match layout(&self.commands, &self.candidates).await {
            Ok(layout) if layout != self.layout => Err("slots of the Cluster have moved".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// This machine's clock in microseconds since 1970.
pub(super) fn unix_us() -> i64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Who has the topics now.
async fn layout(commands: &Client, topics: &[String]) -> Result<Layout, EngineError> {
    if !commands.is_clustered() {
        return Ok(Layout::of_one(topics));
    }
    let slots = CustomCommand::new_static("CLUSTER", ClusterHash::Random, false);
    let slots: Value = commands.custom(slots, vec!["SLOTS"]).await.map_err(down)?;
    Layout::read(&slots, topics).ok_or(EngineError::Answer("CLUSTER SLOTS leaves slots without an owner"))
}

/// Connects once and looks at the version.
pub(super) async fn look(builder: &Builder, patience: u32) -> Result<(), EngineError> {
    let commands = Connected::new(&configured(builder, patience)).await?;
    version::check_of(&commands).await
}

pub(super) fn configured(builder: &Builder, patience: u32) -> Builder {
    let mut builder = builder.clone();
    builder.with_connection_config(|config| {
        config.connection_timeout = CONNECT_TIME * patience;
        config.internal_command_timeout = CONNECT_TIME * patience;
        config.tcp.nodelay = Some(true);
        // Nothing is sent again after a broken connection; a slot that has moved takes a second attempt.
        config.max_command_attempts = 3;
        // The link proves itself; this would need one more right.
        config.disable_cluster_health_check = true;
    });
    builder
}

/// fred's error as ours.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn down(error: fred::error::Error) -> EngineError {
    EngineError::Down(error.to_string())
}

/// The link of the moment, if it stands.
pub(super) type Current = parking_lot::RwLock<Option<Arc<Link>>>;
