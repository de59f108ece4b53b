//! Works off the outbox: claims rows, publishes both copies of each event in one call, deletes what is out.
//!
//! It is woken when a change is committed in this process (`bell.rs`) or, through Redis, in another (`queue.rs`);
//! otherwise it looks every few seconds. A failure that may pass never uses up a try, and while the broadcast server is
//! away only one event at a time knocks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gema_client::{Event, PublishError, Publisher};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep, timeout};

use crate::config::WorkerConfig;
use crate::domain::{PUBLIC_CHANNEL, private_channel};
use crate::metrics::Counts;
use crate::queue::Feed;
use crate::store::{Among, Claim, Job, Store};

/// The longest pause between two tries of a refused event, unless the first is longer.
const REFUSED_BACKOFF_MAX: Duration = Duration::from_secs(600);

/// What a worker needs.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub store: Store,
    pub publisher: Publisher,
    pub config: WorkerConfig,
    pub counts: Arc<Counts>,
    /// Rung after each commit that added a row.
    pub wake: Arc<Notify>,
    /// Whether a list says which rows there are.
    pub is_fed: bool,
    /// Tells this worker's leases from all others, of this process's earlier lives, too.
    pub name: String,
}

/// What became of a job in flight.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Published,
    /// Refused for good.
    GivenUp,
    /// The row was put back; it is due again at this moment.
    PutBack {
        due: Instant,
        transient: bool,
    },
}

/// How far a look at the queue got.
#[derive(Debug, Clone, Copy)]
enum Launched {
    /// Nothing more may start until something lands.
    All,
    /// All that could be had; so many more could start.
    RoomFor(usize),
    /// Nothing, and nothing shall be asked for.
    NotNow,
}

/// What the loop remembers between two looks at the outbox.
#[derive(Debug, Default)]
struct Progress {
    /// How often in a row the server did not take an event for a reason that may pass. While this is not zero, one
    /// event at a time knocks, with growing pauses, however many wait.
    failures: u32,
    /// Not before this moment.
    knock_at: Option<Instant>,
    /// The earliest moment at which something that was put back is due.
    due: Option<Instant>,
}

impl Worker {
    /// Works until `end` turns true, then finishes what is in flight within the drain time and frees the rest. `feed`
    /// wakes it from outside of this process, and if `is_fed` it also says which rows there are.
    pub(crate) async fn run(self, mut feed: Option<Feed>, mut end: watch::Receiver<bool>) {
        let mut flying = JoinSet::new();
        let mut progress = Progress::default();
        while !*end.borrow_and_update() {
            if progress.is_due() {
                feed.iter().for_each(Feed::sweep_soon);
            }
            let launched = self.launch(&mut flying, &progress, feed.as_mut()).await;
            let full = matches!(launched, Launched::All);
            tokio::select! {
                Some(done) = flying.join_next() => self.note(done.ok(), &mut progress, feed.as_ref()).await,
                () = self.wake.notified(), if !full => {}
                () = arrived(feed.as_mut(), launched) => {}
                () = sleep(self.nap(&progress)), if !full => {}
                // An owner that is gone has ended, too.
                _ = end.changed() => break,
            }
        }
        self.drain(flying).await;
    }

    /// Claims as much as may fly beside what flies already.
    async fn launch(
        &self,
        flying: &mut JoinSet<Outcome>,
        progress: &Progress,
        mut feed: Option<&mut Feed>,
    ) -> Launched {
        let at_once = if progress.failures > 0 { 1 } else { self.config.concurrency.max(1) };
        let limit = at_once.saturating_sub(flying.len());
        if limit == 0 {
            return Launched::All;
        }
        if progress.pause().is_some() {
            return Launched::NotNow;
        }
        let ids = feed.as_mut().map_or_else(Vec::new, |feed| feed.take(limit));
        let is_listed = self.is_fed && feed.as_ref().is_some_and(|feed| feed.can_be_relied_on());
        match self.claim(if is_listed { Among::Ids(&ids) } else { Among::All }, limit).await {
            Ok(jobs) => {
                for job in jobs {
                    flying.spawn(self.clone().deliver(job));
                }
            }
            Err(error) => {
                tracing::error!(%error, "The outbox cannot be read");
                feed.into_iter().for_each(|feed| feed.put_back(&ids));
                return Launched::NotNow;
            }
        }
        match at_once.saturating_sub(flying.len()) {
            0 => Launched::All,
            room => Launched::RoomFor(room),
        }
    }

    async fn claim(&self, among: Among<'_>, limit: usize) -> Result<Vec<Job>, sqlx::Error> {
        if matches!(among, Among::Ids([])) {
            return Ok(Vec::new());
        }
        self.store.claim(Claim { owner: &self.name, limit, lease: self.config.lease, among }).await
    }

    /// Tries rows that were just committed once, before the change is answered; what fails is left to the worker's loop.
    /// In a box, since commits ring the bell that calls it.
    pub(crate) fn publish_at_once<'a>(
        &'a self,
        rows: &'a [i64],
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async {
            match self.claim(Among::Ids(rows), rows.len()).await {
                Ok(jobs) => {
                    for job in jobs {
                        self.clone().deliver(job).await;
                    }
                }
                Err(error) => tracing::error!(%error, "The outbox cannot be read"),
            }
        })
    }

    /// How long nothing can be due.
    fn nap(&self, progress: &Progress) -> Duration {
        let left = progress.due.map(|due| due.saturating_duration_since(Instant::now()));
        progress.pause().or(left).unwrap_or(self.config.poll).min(self.config.poll)
    }

    async fn note(&self, outcome: Option<Outcome>, progress: &mut Progress, feed: Option<&Feed>) {
        match outcome {
            Some(Outcome::Published) => {
                // One failure alone may be the event's own fault; it must not come back at once, again and again.
                if progress.failures > 1 {
                    if let Err(error) = self.store.hurry().await {
                        tracing::warn!(%error, "Events that waited for the broadcast server wait a little longer");
                    }
                    feed.inspect(|feed| feed.sweep_soon());
                }
                (progress.failures, progress.knock_at) = (0, None);
            }
            Some(Outcome::PutBack { due, transient }) => {
                progress.due_by(due);
                // What flew together fails together: that is one failure. And a refusal with words (4xx) is none, the
                // server is there.
                if transient && progress.pause().is_none() {
                    progress.failures = progress.failures.saturating_add(1);
                    let knock_at = Instant::now() + self.backoff(i64::from(progress.failures));
                    progress.knock_at = Some(knock_at);
                    progress.due_by(knock_at);
                }
            }
            // The server is there. Or a task broke off; its lease will run out.
            Some(Outcome::GivenUp) | None => {}
        }
    }

    async fn drain(&self, mut flying: JoinSet<Outcome>) {
        let landed = async { while flying.join_next().await.is_some() {} };
        if timeout(self.config.drain, landed).await.is_err() {
            tracing::warn!(
                "Events in flight at the end of the worker will be published again at its next start"
            );
            flying.shutdown().await;
        }
        if let Err(error) = self.store.release(&self.name).await {
            tracing::warn!(%error, "Rows in hand stay leased until their lease runs out");
        }
    }

    /// Publishes a row. Where rows come from a list, those of the same record follow at once: whoever took their ids
    /// before it was their turn has let go of them.
    async fn deliver(self, mut job: Job) -> Outcome {
        loop {
            let record = job.attendance_id;
            let outcome = self.attempt(job).await;
            if !self.is_fed || matches!(outcome, Outcome::PutBack { .. }) {
                return outcome;
            }
            match self.follower(record).await {
                Ok(Some(next)) => job = next,
                Ok(None) => return outcome,
                Err(error) => {
                    tracing::error!(%error, "The outbox cannot be read");
                    return outcome;
                }
            }
        }
    }

    async fn follower(&self, attendance_id: i64) -> Result<Option<Job>, sqlx::Error> {
        let Some(next) = self.store.oldest_of(attendance_id).await? else { return Ok(None) };
        Ok(self.claim(Among::Ids(&[next]), 1).await?.pop())
    }

    async fn attempt(&self, job: Job) -> Outcome {
        match self.publish(&job).await {
            Ok(()) => {
                self.counts.published.add(1);
                if let Err(error) = self.store.finish(job.id).await {
                    // Its lease will run out and it will be sent again, with the same event id.
                    tracing::error!(%error, event_id = job.event_id, "A published event stays in the outbox");
                }
                tracing::debug!(event_id = job.event_id, event = job.event, "Event published");
                Outcome::Published
            }
            Err(error) => self.failed(job, &error).await,
        }
    }

    /// Publishes both copies, keeping the lease for as long as that takes.
    async fn publish(&self, job: &Job) -> Result<(), PublishError> {
        let event = |channel: String, data: &str| Event {
            name: job.event.clone(),
            channel,
            data: data.to_owned(),
            socket_id: None,
        };
        let events = [
            event(PUBLIC_CHANNEL.to_owned(), &job.public_data),
            event(private_channel(job.user_id), &job.private_data),
        ];
        let third = (self.config.lease / 3).max(Duration::from_millis(1));
        let mut renewal = interval_at(tokio::time::Instant::now() + third, third);
        let publish = self.publisher.batch(&events);
        tokio::pin!(publish);
        loop {
            tokio::select! {
                result = &mut publish => return result,
                _ = renewal.tick() => {
                    if let Err(error) = self.store.renew(job, self.config.lease).await {
                        tracing::warn!(%error, event_id = job.event_id, "A lease could not be renewed");
                    }
                }
            }
        }
    }

    async fn failed(&self, mut job: Job, error: &PublishError) -> Outcome {
        let transient = error.is_transient();
        if transient {
            self.counts.postponed.add(1);
            job.postponed = job.postponed.saturating_add(1);
        } else {
            self.counts.refused.add(1);
            job.attempts = job.attempts.saturating_add(1);
        }
        let pause = if transient { self.backoff(job.postponed) } else { self.refused_backoff(job.attempts) };
        let is_last = !transient && job.attempts >= i64::from(self.config.tries);
        let stored =
            if is_last { self.give_up(&job, error).await } else { self.put_back(&job, error, pause).await };
        match stored {
            Ok(()) if is_last => {
                self.counts.given_up.add(1);
                return Outcome::GivenUp;
            }
            Ok(()) => {}
            Err(error) => {
                let event_id = job.event_id;
                tracing::error!(%error, event_id, "The outbox cannot be written; the lease will run out");
            }
        }
        Outcome::PutBack { due: Instant::now() + pause, transient }
    }

    async fn give_up(&self, job: &Job, error: &PublishError) -> Result<(), sqlx::Error> {
        tracing::error!(%error, event_id = job.event_id, "Event failed for good; the table failed_jobs keeps it");
        self.store.give_up(job, &error.to_string()).await
    }

    async fn put_back(&self, job: &Job, error: &PublishError, pause: Duration) -> Result<(), sqlx::Error> {
        let retry_in_ms = pause.as_millis();
        tracing::warn!(%error, event_id = job.event_id, attempts = job.attempts, retry_in_ms, "Event not published yet");
        self.store.put_back(job, pause).await
    }

    fn backoff(&self, failures: i64) -> Duration {
        backoff(self.config.outage_backoff, self.config.outage_backoff_max, failures)
    }

    /// Nobody waits for what was refused, so it has all the time that is set.
    fn refused_backoff(&self, refusals: i64) -> Duration {
        backoff(self.config.backoff, REFUSED_BACKOFF_MAX.max(self.config.backoff), refusals)
    }
}

/// Waits until a list has said something, if there is room for it.
async fn arrived(feed: Option<&mut Feed>, launched: Launched) {
    match (feed, launched) {
        (Some(feed), Launched::RoomFor(room)) => feed.arrived(room).await,
        _ => std::future::pending().await,
    }
}

/// Doubles with each failure, up to the maximum; between half and all of it, so that workers do not march in step.
fn backoff(first: Duration, most: Duration, failures: i64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let full = first.saturating_mul(1 << doublings).min(most);
    let random = getrandom::u32().unwrap_or(u32::MAX);
    full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

impl Progress {
    /// How long the next knock has to wait.
    fn pause(&self) -> Option<Duration> {
        let left = self.knock_at?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Whether something that was put back is due now; says so once.
    fn is_due(&mut self) -> bool {
        self.pause().is_none() && self.due.take_if(|due| *due <= Instant::now()).is_some()
    }

    fn due_by(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }
}
