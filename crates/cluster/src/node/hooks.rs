//! This node's share of the webhooks that are decided once for the cluster: fetches what is due, and says what is done.
//!
//! [`Agenda`] knows where to look and when; the engine's answers and notices fill it. One task works it off, in this order:
//! what is done is said, then what was handed before is read again if an answer may have been lost (or a dead node left
//! something), then what is due is fetched. Whoever delivers hears of all this in the same order through [`News`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Node, Shared};
use crate::engine::EngineError;
use crate::entry::Origin;
use crate::name::Partition;
use crate::webhook::{AT_ONCE, Dead, Parcel, Record, Rules, Settled, take_over};

/// News that may wait to be read.
const NEWS: usize = 64;
/// Rest after something failed, and longest time between two looks at an empty agenda.
const REST: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);
/// How often a partition is looked into of which records are in hand: others may add to them, so that a channel's records
/// stay with one node.
const IN_HAND: Duration = Duration::from_secs(1);

/// What whoever delivers is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The id under which the node has these.
    pub node: Origin,
    /// Batches that were begun, by this node or one that it follows, each under its delivery id.
    pub parcels: Vec<(String, Parcel)>,
    /// Of a channel, in order. After a cut some may be known.
    pub records: Vec<Record>,
    /// Records for which there was no room.
    pub lost: u64,
    /// A job that is done: nothing more will be heard of what it was about.
    pub confirmed: Option<Job>,
    /// Who has taken over what this node had under former ids, in the order of their deaths: often this node itself.
    pub inherited: Vec<(Origin, Origin)>,
}

/// Something to be said when there is a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The id under which the node had it.
    pub node: Origin,
    /// What became of records.
    pub settled: Vec<(Partition, Settled)>,
    /// A batch that is taken or given up: where it is kept, and its delivery id.
    pub delivery: Option<(Partition, String)>,
    /// Whatever tells the job from others to whoever wants to hear when it is done.
    pub tickets: Vec<u64>,
}

/// Where to look, and when.
#[derive(Default)]
pub(super) struct Agenda {
    is_on: AtomicBool,
    todo: Mutex<Todo>,
    news: Notify,
}

#[derive(Default)]
struct Todo {
    due: BTreeMap<Partition, Instant>,
    /// Counts the reasons to read everything again, and up to where that was done.
    reasons: u64,
    followed: u64,
    jobs: VecDeque<Job>,
    /// Who has taken over what this node had under former ids.
    inherited: Vec<(Origin, Origin)>,
    /// Records that were fetched and are not settled.
    in_hand: BTreeMap<Partition, usize>,
}

impl Agenda {
    /// Does the app have webhooks?
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// There will be something in a partition.
    pub(super) fn look(&self, partition: Partition, pause: Duration) {
        let at = Instant::now() + pause;
        let mut todo = self.todo.lock();
        let due = todo.due.entry(partition).or_insert(at);
        *due = at.min(*due);
        drop(todo);
        self.news.notify_one();
    }

    /// An answer may have been lost, or there is something to inherit.
    pub(super) fn look_again(&self) {
        self.todo.lock().reasons += 1;
        self.news.notify_one();
    }

    fn due(&self) -> Option<Partition> {
        let mut todo = self.todo.lock();
        let now = Instant::now();
        let partition = *todo.due.iter().find(|(_, at)| **at <= now)?.0;
        todo.due.remove(&partition);
        Some(partition)
    }

    fn next_due(&self) -> Duration {
        let next = self.todo.lock().due.values().min().copied();
        next.map_or(LONG, |at| at.saturating_duration_since(Instant::now())).min(LONG)
    }

    /// Records were fetched, or settled.
    fn count(&self, partition: Partition, fetched: usize, settled: usize) {
        let mut todo = self.todo.lock();
        let count = todo.in_hand.entry(partition).or_default();
        *count = (*count + fetched).saturating_sub(settled);
        if *count == 0 {
            todo.in_hand.remove(&partition);
            return;
        }
        drop(todo);
        self.look(partition, IN_HAND);
    }
}

/// One app's webhooks of this node. The work ends with it.
pub struct Hooks {
    shared: Arc<Shared>,
    _task: DropGuard,
}

impl Node {
    /// Begins to decide about webhooks and to fetch what is due.
    #[must_use]
    pub fn webhooks(&self, rules: Rules) -> (Hooks, mpsc::Receiver<News>) {
        self.shared.engine.decide(rules);
        self.shared.agenda.is_on.store(true, Ordering::Release);
        self.shared.agenda.look_again();
        let (sender, news) = mpsc::channel(NEWS);
        let ending = CancellationToken::new();
        tokio::spawn(ending.clone().run_until_cancelled_owned(run(self.shared.clone(), sender)));
        (Hooks { shared: self.shared.clone(), _task: ending.drop_guard() }, news)
    }
}

impl Hooks {
    /// The id that this node has now.
    #[must_use]
    pub fn node(&self) -> Origin {
        self.shared.identity.current()
    }

    /// Is it this node, now or before?
    #[must_use]
    pub fn is_own(&self, node: Origin) -> bool {
        self.shared.identity.is_own(node)
    }

    /// Keeps a batch, once.
    ///
    /// # Errors
    /// When it is not known to be kept; [`Dead`]: the node has another id by now, or is about to take one.
    pub async fn keep(
        &self,
        node: Origin,
        partition: Partition,
        delivery: &str,
        parcel: &Parcel,
    ) -> Result<Result<(), Dead>, EngineError> {
        self.shared.engine.keep(node, partition, delivery, parcel).await
    }

    /// Takes a job and returns at once.
    pub fn finish(&self, job: Job) {
        self.shared.agenda.todo.lock().jobs.push_back(job);
        self.shared.agenda.news.notify_one();
    }

    /// Ends when all jobs are done; the caller bounds the wait.
    pub async fn finished(&self) {
        while !self.shared.agenda.todo.lock().jobs.is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Shared {
    /// Takes over the webhooks that a dead node leaves. May be repeated, by any node.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub(super) async fn inherit(&self, dead: Origin) -> Result<(), EngineError> {
        let successor = take_over(&*self.engine, dead, self.identity.current()).await?;
        if self.identity.is_own(dead) {
            let inherited = &mut self.agenda.todo.lock().inherited;
            inherited.retain(|(former, _)| *former != dead);
            inherited.push((dead, successor));
        }
        self.agenda.look_again();
        Ok(())
    }
}

async fn run(shared: Arc<Shared>, news: mpsc::Sender<News>) {
    loop {
        let pause = match work(&shared, &news).await {
            Ok(()) if shared.is_linked() => shared.agenda.next_due(),
            // What is due waits for a link, and that wakes this up.
            Ok(()) => LONG,
            Err(error) => {
                tracing::debug!(%error, "webhooks wait for Redis");
                sleep(REST).await;
                continue;
            }
        };
        let _ = timeout(pause, shared.agenda.news.notified()).await;
    }
}

/// All that can be done now.
async fn work(shared: &Shared, news: &mpsc::Sender<News>) -> Result<(), EngineError> {
    let agenda = &shared.agenda;
    while shared.is_linked() {
        let job = agenda.todo.lock().jobs.front().cloned();
        let reasons = agenda.todo.lock().reasons;
        let told = if let Some(job) = job {
            do_job(shared, &job).await?;
            agenda.todo.lock().jobs.pop_front();
            News { confirmed: Some(job), ..nothing(shared) }
        } else if reasons != agenda.todo.lock().followed {
            let told = read_again(shared).await?;
            agenda.todo.lock().followed = reasons;
            told
        } else if let Some(partition) = agenda.due() {
            fetch(shared, partition).await.inspect_err(|_| agenda.look(partition, Duration::ZERO))?
        } else {
            return Ok(());
        };
        // Nobody reads any more: the end is near, and jobs are done all the same.
        let _ = news.send(told).await;
    }
    Ok(())
}

fn nothing(shared: &Shared) -> News {
    let (parcels, records) = (Vec::new(), Vec::new());
    News {
        node: shared.identity.current(),
        parcels,
        records,
        lost: 0,
        confirmed: None,
        inherited: Vec::new(),
    }
}

/// A batch goes last: until then a repeat is the same. What the node had under a former id waits until that is inherited.
async fn do_job(shared: &Shared, job: &Job) -> Result<(), EngineError> {
    let Some(node) = owner(shared, job.node) else {
        return Err(EngineError::Down("a former id of this node is not buried yet".to_owned()));
    };
    if node != shared.identity.current() {
        return Ok(());
    }
    let mut by_partition: BTreeMap<Partition, Vec<Settled>> = BTreeMap::new();
    for (partition, settled) in &job.settled {
        by_partition.entry(*partition).or_default().push(settled.clone());
    }
    for (partition, settled) in by_partition {
        let Ok(next) = shared.engine.settle(node, partition, &settled).await? else {
            return Err(EngineError::Down("this node was declared dead".to_owned()));
        };
        let whole = settled.iter().filter(|settled| settled.endpoint.is_none()).count();
        shared.agenda.count(partition, 0, whole);
        if let Some(pause) = next {
            shared.agenda.look(partition, pause);
        }
    }
    if let Some((partition, delivery)) = &job.delivery {
        shared.engine.drop_kept(node, *partition, delivery).await?;
    }
    Ok(())
}

/// Who has what this node had under an id; `None`: nobody has taken over yet.
fn owner(shared: &Shared, mut node: Origin) -> Option<Origin> {
    let inherited = &shared.agenda.todo.lock().inherited;
    while node != shared.identity.current() && shared.identity.is_own(node) {
        node = inherited.iter().find(|(former, _)| *former == node)?.1;
    }
    Some(node)
}

/// Batches of all partitions before records of any: a batch may have records of several.
async fn read_again(shared: &Shared) -> Result<News, EngineError> {
    let mut all = News { inherited: shared.agenda.todo.lock().inherited.clone(), ..nothing(shared) };
    for partition in Partition::all() {
        all.parcels.extend(shared.engine.kept(all.node, partition).await?);
    }
    shared.agenda.todo.lock().in_hand.clear();
    for partition in Partition::all() {
        let before = all.records.len();
        let mut after = None;
        loop {
            let page = shared.engine.handed(all.node, partition, after).await?;
            after = page.last().map(|record| record.place);
            let is_last = page.len() < AT_ONCE;
            all.records.extend(page);
            if is_last {
                break;
            }
        }
        shared.agenda.count(partition, all.records.len() - before, 0);
        shared.agenda.look(partition, Duration::ZERO);
    }
    Ok(all)
}

async fn fetch(shared: &Shared, partition: Partition) -> Result<News, EngineError> {
    let mut fetched = nothing(shared);
    // A dead node looks again under its next id.
    if let Ok(taken) = shared.engine.take(fetched.node, partition).await? {
        shared.agenda.count(partition, taken.records.len(), 0);
        if let Some(pause) = taken.next {
            shared.agenda.look(partition, pause);
        }
        fetched.records = taken.records;
        fetched.records.sort_by_key(|record| record.place);
        fetched.lost = taken.lost;
    }
    Ok(fetched)
}
