//! The seam between a node and the place where nodes meet. Redis is one such place, memory another (for tests:
//! `tests/src/memory.rs`); both pass the same contract suite (`tests/tests/cluster/contract.rs`).

use std::time::Duration;

use futures_util::future::BoxFuture;
use gema_protocol::channel::ChannelName;
use tokio::sync::mpsc;

use crate::entry::{Entry, Origin};
use crate::inbox::{Page, Position};
use crate::lease::{LEASE, Renewal, Renewed};
use crate::name::Partition;
use crate::outgoing::{Answer, Append};
use crate::replica::{Delta, Snapshot};
use crate::telling::{Telling, Told};
use crate::webhook::Webhooks;

/// Why an engine could not do what it was asked. It may have done it: an answer can be lost on its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The link is down, or went down before the answer came.
    #[error("the link is down: {0}")]
    Down(String),
    /// No answer came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer made no sense.
    #[error("unexpected answer: {0}")]
    Answer(&'static str),
    /// What is there will never do: a sentence that says why, and what to use instead.
    #[error("{0}")]
    Unfit(String),
}

/// What an engine tells a node by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The link stands. Every subscription of before is gone, and whatever was published meanwhile was missed.
    Up,
    /// The link is down; nothing more comes until [`Notice::Up`].
    Down,
    /// Something of what this node said of its clients was found damaged: it is to be told again.
    Lost,
    /// An entry was published to a topic that this node holds; perhaps its own.
    Entry {
        /// The channel.
        channel: ChannelName,
        /// Where it stands in the channel's log.
        at: Position,
        /// The entry.
        entry: Entry,
    },
    /// A node has said something new of its clients in a channel whose topic this node holds; perhaps this node itself.
    Delta {
        /// The channel.
        channel: ChannelName,
        /// What changed.
        delta: Delta,
    },
    /// There are webhooks for this node, or will be.
    Webhooks {
        /// In which partition.
        partition: Partition,
        /// When.
        pause: Duration,
    },
}

/// The notices of one engine. Bounded: a node that does not read loses its link, and reads the logs afterwards.
pub type Notices = mpsc::Receiver<Notice>;

/// How many there are in a channel, over all nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Distinct users of a presence channel.
    pub users: u64,
}

/// An answer on its way.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

/// The text of a last event, and how long it is still kept.
pub type Kept = (String, Duration);

/// One app's share of the place where nodes meet. No call waits longer than a few seconds.
pub trait Engine: Webhooks + Send + Sync + 'static {
    /// Appends an entry to its channel's log and tells it to whoever holds the topic, unless the log has had it already (or
    /// it has no event): then nothing happens, and the log's newest position is the answer. `keep`: the text that a cache
    /// channel keeps as its last event, and for how long.
    fn append<'a>(
        &'a self,
        append: &'a Append,
        keep: Option<(&'a str, Duration)>,
    ) -> BoxFuture<'a, Result<Answer, EngineError>>;

    /// Reads a channel's log after a position, or from its beginning.
    fn page<'a>(
        &'a self,
        channel: &'a ChannelName,
        after: Option<Position>,
    ) -> BoxFuture<'a, Result<Page, EngineError>>;

    /// The last event that a cache channel keeps, with the time it is still kept.
    fn last_event<'a>(&'a self, channel: &'a ChannelName)
    -> BoxFuture<'a, Result<Option<Kept>, EngineError>>;

    /// Says what is so of this node's clients in a channel.
    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Result<Told, EngineError>>;

    /// The channels of a partition in which a node still has clients, by what it told.
    fn channels_of<'a>(
        &'a self,
        node: Origin,
        partition: Partition,
    ) -> BoxFuture<'a, Result<Vec<ChannelName>, EngineError>>;

    /// Reads what all nodes say of a channel.
    fn snapshot<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Snapshot, EngineError>>;

    /// Renews this node's lease, or begins one. Sets the clock of [`Engine::now_ms`].
    fn renew<'a>(&'a self, renewal: &'a Renewal) -> BoxFuture<'a, Result<Renewed, EngineError>>;

    /// Takes away what a dead node said of a partition's channels, and tells it to whoever holds their topics. From the
    /// first moment on whatever that node says of the partition is refused. Any number of nodes may do it at once.
    fn reap(&self, node: Origin, partition: Partition) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Forgets a dead node once it has been reaped in all partitions. False when another node did that before.
    fn bury(&self, node: Origin) -> BoxFuture<'_, Result<bool, EngineError>>;

    /// Ends a node's lease now. Whoever lives finds it among the dead at its next renewal.
    fn lay_down(&self, node: Origin) -> BoxFuture<'_, Result<(), EngineError>>;

    /// How long a lease stands without a renewal.
    fn lease(&self) -> Duration {
        LEASE
    }

    /// The channels whose names begin with `prefix` and that anybody subscribes to, with their subscriptions. A partition
    /// with an absurd number of them is left out.
    fn occupied<'a>(&'a self, prefix: &'a str) -> Asked<'a, Vec<(ChannelName, u64)>>;

    /// How many there are in each of these channels, in the same order.
    fn counts<'a>(&'a self, channels: &'a [ChannelName]) -> Asked<'a, Vec<Counts>>;

    /// The ids of a presence channel's distinct users.
    fn users_of<'a>(&'a self, channel: &'a ChannelName) -> Asked<'a, Vec<String>>;

    /// Somebody has missed the last event of a cache channel. True for the first who says so within `period`.
    fn is_first_miss<'a>(&'a self, channel: &'a ChannelName, period: Duration) -> Asked<'a, bool>;

    /// Holds topics. Once this returns, whatever is published to them is noticed.
    fn subscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>>;

    /// The time by the clock that all nodes share, in milliseconds since 1970; as far as it is known.
    fn now_ms(&self) -> u64;

    /// How many milliseconds that may be wrong, in either direction.
    fn clock_error_ms(&self) -> u64;

    /// Lets topics go.
    fn unsubscribe<'a>(&'a self, channels: &'a [ChannelName]) -> BoxFuture<'a, Result<(), EngineError>>;

    /// How often something was found there that none of us wrote, or that could not be read.
    fn refused(&self) -> u64 {
        0
    }
}
