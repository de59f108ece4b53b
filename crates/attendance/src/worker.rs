//! Works off the outbox: claims rows, publishes both copies of each event in one call, deletes what is out.
//!
//! It is woken when a change is committed in this process; otherwise it looks every few seconds. A failure that may
//! pass never uses up a try, and while the broadcast server is away only one event at a time knocks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gema_client::{Event, PublishError, Publisher};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep, timeout};

use crate::config::WorkerConfig;
use crate::domain::{PUBLIC_CHANNEL, private_channel};
use crate::store::{Claim, Job, Store};

/// What a worker needs.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub store: Store,
    pub publisher: Publisher,
    pub config: WorkerConfig,
    /// Rung after each commit that added a row.
    pub wake: Arc<Notify>,
    /// Tells this worker's leases from all others, of this process's earlier lives, too.
    pub name: String,
}

/// What became of a job in flight.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Published,
    /// The row was put back; it is due again at this moment.
    Failed {
        due: Instant,
        transient: bool,
    },
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
    /// Works until `end` turns true, then finishes what is in flight within the drain time and frees the rest.
    pub(crate) async fn run(self, mut end: watch::Receiver<bool>) {
        let mut flying = JoinSet::new();
        let mut progress = Progress::default();
        while !*end.borrow_and_update() {
            let full = self.launch(&mut flying, &progress).await;
            tokio::select! {
                Some(done) = flying.join_next() => self.note(done.ok(), &mut progress).await,
                () = self.wake.notified(), if !full => {}
                () = sleep(self.nap(&mut progress)), if !full => {}
                // An owner that is gone has ended, too.
                _ = end.changed() => break,
            }
        }
        self.drain(flying).await;
    }

    /// Claims as much as may fly beside what flies already. True when nothing more may start until something lands.
    async fn launch(&self, flying: &mut JoinSet<Outcome>, progress: &Progress) -> bool {
        let at_once = if progress.failures > 0 { 1 } else { self.config.concurrency.max(1) };
        let limit = at_once.saturating_sub(flying.len());
        if limit == 0 {
            return true;
        }
        if progress.pause().is_some() {
            return false;
        }
        let claim = Claim { owner: &self.name, limit, lease: self.config.lease };
        match self.store.claim(claim).await {
            Ok(jobs) => {
                for job in jobs {
                    flying.spawn(self.clone().deliver(job));
                }
            }
            Err(error) => tracing::error!(%error, "The outbox cannot be read"),
        }
        flying.len() >= at_once
    }

    /// How long nothing can be due.
    fn nap(&self, progress: &mut Progress) -> Duration {
        if let Some(pause) = progress.pause() {
            return pause;
        }
        let left = progress.due.map(|due| due.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            progress.due = None;
        }
        left.unwrap_or(self.config.poll).min(self.config.poll)
    }

    async fn note(&self, outcome: Option<Outcome>, progress: &mut Progress) {
        match outcome {
            Some(Outcome::Published) => {
                // One failure alone may be the event's own fault; it must not come back at once, again and again.
                if progress.failures > 1
                    && let Err(error) = self.store.hurry().await
                {
                    tracing::warn!(%error, "Events that waited for the broadcast server wait a little longer");
                }
                (progress.failures, progress.knock_at) = (0, None);
            }
            Some(Outcome::Failed { due, transient }) => {
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
            // A task that broke off; its lease will run out.
            None => {}
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

    async fn deliver(self, job: Job) -> Outcome {
        match self.publish(&job).await {
            Ok(()) => {
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
            job.postponed = job.postponed.saturating_add(1);
        } else {
            job.attempts = job.attempts.saturating_add(1);
        }
        let pause = self.backoff(job.attempts.saturating_add(job.postponed));
        let stored = if !transient && job.attempts >= i64::from(self.config.tries) {
            self.give_up(&job, error).await
        } else {
            self.put_back(&job, error, pause).await
        };
        if let Err(error) = stored {
            tracing::error!(%error, event_id = job.event_id, "The outbox cannot be written; the lease will run out");
        }
        Outcome::Failed { due: Instant::now() + pause, transient }
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

    /// Doubles with each failure, up to the maximum; between half and all of it, so that workers do not march in step.
    fn backoff(&self, failures: i64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        let full = self.config.backoff.saturating_mul(1 << doublings).min(self.config.backoff_max);
        let random = getrandom::u32().unwrap_or(u32::MAX);
        full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

impl Progress {
    /// How long the next knock has to wait.
    fn pause(&self) -> Option<Duration> {
        let left = self.knock_at?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn due_by(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }
}
