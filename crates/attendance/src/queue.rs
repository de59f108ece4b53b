//! The list in Redis that tells workers which rows of the outbox wait. It holds ids only; the outbox stays the truth.
//!
//! Whatever becomes of the list costs time only. A node appends ids after its commits and never waits for that
//! ([`tell`]). A worker takes as many as it has room for ([`Feed`]) and claims them in the database. What got lost on the
//! way (a list, an id that somebody took and died, a push that found no link) its sweeper appends again. While the
//! list cannot be used, workers look for rows in the database.
//!
//! With the database queue another list just wakes workers of other processes: what is in it does not matter.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gema_cluster::redis::{Away, Plain, Value};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::{Queue, RedisConfig};
use crate::redis::Redis;
use crate::store::Store;

/// Ids that a list has at most. The rows of further ones are found by the sweeper once workers have made room.
const MOST: i64 = 100_000;
/// The sweeper appends nothing to a list of this length: there is enough to do, and to look for an id takes too long.
const LONG: usize = 10_000;
/// Rows that the sweeper reads at once.
const PAGE: usize = 1_000;
/// How often the sweeper looks.
const SWEEP: Duration = Duration::from_secs(5);
/// Tokens that a list which only wakes has at most: for as many workers as that.
const TOKENS: i64 = 16;
/// Commits told at once.
const AT_ONCE: usize = 256;
/// Commits that may wait until they are told.
const ROOM: usize = 4_096;
/// How long Redis holds back the answer of an empty list: the beat of an idle worker.
const HOLD: Duration = Duration::from_secs(1);
/// Pause after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// What the end gives to commits that are not told yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A list, and the link it is reached through.
#[derive(Debug, Clone)]
pub(crate) struct List {
    link: Plain,
    key: String,
    most: i64,
}

impl List {
    /// The list of this kind of queue; `None` when it needs none.
    pub(crate) fn of(queue: Queue, config: Option<&RedisConfig>, redis: Option<&Redis>) -> Option<Self> {
        let (config, redis) = config.zip(redis)?;
        let (name, most) = match queue {
            Queue::Sync => return None,
            Queue::Redis => ("queues:default", MOST),
            Queue::Database => ("queues:default:notify", TOKENS),
        };
        Some(Self { link: redis.link.clone(), key: format!("{}{name}", config.prefix), most })
    }

    /// Appends ids, as far as there is room.
    pub(crate) async fn push(&self, ids: &[i64]) -> Result<(), Away> {
        if ids.is_empty() {
            return Ok(());
        }
        let length = self.link.call("RPUSH", &self.key, ids.iter().map(|id| (*id).into()).collect()).await?;
        if length.as_i64().is_some_and(|length| length > self.most) {
            let bounds = vec![0.into(), (self.most - 1).into()];
            self.link.call("LTRIM", &self.key, bounds).await?;
        }
        Ok(())
    }

    /// Takes up to `most` ids, as soon as there is one; none after [`HOLD`].
    async fn pop(&self, held_back: &Plain, most: usize) -> Result<Vec<i64>, Away> {
        let first = held_back.call_for(HOLD, "BLPOP", &self.key, vec![HOLD.as_secs_f64().into()]).await?;
        // The name of the list stands before what was in it.
        let Some(first) = first.into_array().into_iter().nth(1) else { return Ok(Vec::new()) };
        let mut popped = vec![first];
        if let more @ 1.. = i64::try_from(most).unwrap_or(1) - 1 {
            // Without an answer at least the first is known.
            let rest = self.link.call("LPOP", &self.key, vec![more.into()]).await;
            popped.extend(rest.map(Value::into_array).unwrap_or_default());
        }
        Ok(popped.iter().filter_map(id).collect())
    }

    /// Appends what could be claimed and is not in the list.
    async fn sweep(&self, store: &Store) -> Result<(), Swept> {
        let last = i64::try_from(LONG).unwrap_or(i64::MAX) - 1;
        let listed = self.link.call("LRANGE", &self.key, vec![0.into(), last.into()]).await?.into_array();
        let mut length = listed.len();
        let mut listed: HashSet<i64> = listed.iter().filter_map(id).collect();
        let mut after = 0;
        while length < LONG {
            let waiting = store.claimable(after, PAGE).await?;
            let lost: Vec<_> = waiting.iter().copied().filter(|id| listed.insert(*id)).collect();
            self.push(&lost).await?;
            length += lost.len();
            match waiting.last() {
                Some(last) if waiting.len() == PAGE => after = *last,
                _ => break,
            }
        }
        Ok(())
    }
}

/// Why a sweep ended early.
enum Swept {
    Away,
    Store(sqlx::Error),
}

impl From<Away> for Swept {
    fn from(_: Away) -> Self {
        Self::Away
    }
}

impl From<sqlx::Error> for Swept {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

/// Anybody may write to a Redis: what is no id is nothing.
fn id(value: &Value) -> Option<i64> {
    value.as_str()?.parse().ok()
}

/// Tells the list of commits, in the background.
#[derive(Debug)]
pub(crate) struct Teller {
    telling: JoinSet<()>,
}

impl Teller {
    /// Where commits are put. What finds no room there is found by the sweeper.
    pub(crate) fn start(list: List) -> (mpsc::Sender<i64>, Self) {
        let (commits, committed) = mpsc::channel(ROOM);
        let mut telling = JoinSet::new();
        telling.spawn(tell(list, committed));
        (commits, Self { telling })
    }

    /// Says what is left once nobody can commit any more.
    pub(crate) async fn end(mut self) {
        // In vain: the sweeper will.
        let _ = timeout(LAST_WORDS, self.telling.join_next()).await;
    }
}

async fn tell(list: List, mut committed: mpsc::Receiver<i64>) {
    let mut some = Vec::with_capacity(AT_ONCE);
    while committed.recv_many(&mut some, AT_ONCE).await > 0 {
        while let Err(Away) = list.push(&some).await {
            sleep(PAUSE).await;
        }
        some.clear();
    }
}

/// A worker's end of a list. Ends its tasks when it is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Arc<State>,
    wanted: mpsc::Sender<usize>,
    popped: mpsc::Receiver<Vec<i64>>,
    /// Whether an answer to `wanted` is due.
    asked: bool,
    ready: VecDeque<i64>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the last attempt worked.
    popping: AtomicBool,
    sweeping: AtomicBool,
    sweep: Notify,
}

impl Feed {
    /// Begins to take ids of rows from the list, and to sweep.
    pub(crate) fn of_rows(list: List, redis: &RedisConfig, store: Store) -> Self {
        let mut feed = Self::start(list.clone(), redis);
        feed._tasks.spawn(sweep(list, store, Arc::clone(&feed.state)));
        feed
    }

    /// Begins to listen to a list that only wakes.
    pub(crate) fn of_tokens(list: List, redis: &RedisConfig) -> Self {
        Self::start(list, redis)
    }

    fn start(list: List, redis: &RedisConfig) -> Self {
        let state = Arc::<State>::default();
        let (wanted, asked) = mpsc::channel(1);
        let (give, popped) = mpsc::channel(1);
        // A link of its own: whatever came after a command that is held back would wait, too.
        let held_back = Plain::start(redis.address.clone(), "workers look for events in the database");
        let mut tasks = JoinSet::new();
        tasks.spawn(pop(list, held_back, asked, give, Arc::clone(&state)));
        Self { state, wanted, popped, asked: false, ready: VecDeque::new(), _tasks: tasks }
    }

    /// Whether what waits is in the list, or soon will be. Otherwise the database has to be asked.
    pub(crate) fn can_be_relied_on(&self) -> bool {
        self.state.popping.load(Ordering::Relaxed) && self.state.sweeping.load(Ordering::Relaxed)
    }

    /// Up to `most` ids that have come.
    pub(crate) fn take(&mut self, most: usize) -> Vec<i64> {
        self.ready.drain(..most.min(self.ready.len())).collect()
    }

    /// Keeps ids for later that were taken.
    pub(crate) fn put_back(&mut self, ids: &[i64]) {
        ids.iter().rev().for_each(|id| self.ready.push_front(*id));
    }

    /// Waits until ids have come, and asks for up to `room` if that has not been done yet.
    pub(crate) async fn arrived(&mut self, room: usize) {
        if !self.ready.is_empty() {
            return;
        }
        if !self.asked {
            self.asked = self.wanted.try_send(room).is_ok();
        }
        match self.popped.recv().await {
            Some(ids) => {
                self.asked = false;
                self.ready.extend(ids);
            }
            // The task broke off, which it never does.
            None => std::future::pending().await,
        }
    }

    /// Something that was put back is due.
    pub(crate) fn sweep_soon(&self) {
        self.state.sweep.notify_one();
    }
}

/// Takes ids, as many as are wanted.
async fn pop(
    list: List,
    held_back: Plain,
    mut wanted: mpsc::Receiver<usize>,
    give: mpsc::Sender<Vec<i64>>,
    state: Arc<State>,
) {
    while let Some(most) = wanted.recv().await {
        let ids = loop {
            match list.pop(&held_back, most).await {
                Ok(ids) => {
                    // A Redis that was away may have forgotten everything.
                    if !state.popping.swap(true, Ordering::Relaxed) {
                        state.sweep.notify_one();
                    }
                    if !ids.is_empty() {
                        break ids;
                    }
                }
                Err(Away) => {
                    state.popping.store(false, Ordering::Relaxed);
                    sleep(PAUSE).await;
                }
            }
        };
        if give.send(ids).await.is_err() {
            return;
        }
    }
}

/// Appends again and again what has been lost.
async fn sweep(list: List, store: Store, state: Arc<State>) {
    loop {
        match list.sweep(&store).await {
            Ok(()) => state.sweeping.store(true, Ordering::Relaxed),
            Err(Swept::Away) => state.sweeping.store(false, Ordering::Relaxed),
            Err(Swept::Store(error)) => tracing::error!(%error, "The outbox cannot be read"),
        }
        tokio::select! {
            () = sleep(SWEEP) => {}
            () = state.sweep.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests;
