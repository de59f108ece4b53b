//! What an attendance node or worker shows its operator; each name is explained in `docs/metrics.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use gema_metrics::{Board, Counter, Health, Page, Shown, Source, Tally, Task};
use tokio::time::timeout;

use crate::redis::Redis;
use crate::store::Store;

/// How long a look at the database may take. A monitor waits about ten seconds for the whole page.
const LOOK: Duration = Duration::from_secs(2);

/// What has happened in this process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Answers by route and status.
    requests: Tally<(String, u16)>,
    pub published: Counter,
    /// Failures that used up nothing.
    pub postponed: Counter,
    /// Refusals, each of which used up a try.
    pub refused: Counter,
    pub given_up: Counter,
}

/// All that is looked at when somebody asks.
struct Site {
    store: Store,
    redis: Option<Redis>,
    counts: Arc<Counts>,
    ending: Arc<AtomicBool>,
}

/// Shows a role on the board until it is dropped.
pub(crate) struct OnShow {
    ending: Arc<AtomicBool>,
    _shown: Shown,
}

impl OnShow {
    pub(crate) fn start(board: &Board, store: &Store, redis: Option<&Redis>, counts: &Arc<Counts>) -> Self {
        let ending = Arc::<AtomicBool>::default();
        let (store, redis, counts) = (store.clone(), redis.cloned(), Arc::clone(counts));
        let site = Site { store, redis, counts, ending: Arc::clone(&ending) };
        Self { ending, _shown: board.show(Arc::new(site)) }
    }

    /// `shutdown`, which from then on shows.
    pub(crate) fn until(&self, shutdown: impl Future<Output = ()>) -> impl Future<Output = ()> {
        let ending = Arc::clone(&self.ending);
        async move {
            shutdown.await;
            ending.store(true, Ordering::Relaxed);
        }
    }
}

/// Counts what is answered.
pub(crate) async fn count(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    counts.requests.add((route, response.status().as_u16()));
    response
}

impl Source for Site {
    fn add<'a>(&'a self, page: &'a mut Page) -> Task<'a, ()> {
        Box::pin(async {
            self.requests(page);
            self.worker(page);
            self.database(page).await;
            if let Some(redis) = &self.redis {
                let linked = u8::from(redis.link.stands_for().is_some());
                page.gauge("gema_redis_linked", "1 while the link to Redis stands.").sample(&[], linked);
            }
        })
    }

    fn health(&self) -> Task<'_, Health> {
        Box::pin(async {
            if self.ending.load(Ordering::Relaxed) {
                return Health::Ending;
            }
            if !matches!(timeout(LOOK, self.store.ping()).await, Ok(Ok(()))) {
                return Health::Unable("database");
            }
            match &self.redis {
                Some(redis) if redis.link.stands_for().is_none() => Health::Degraded("redis"),
                _ => Health::Well,
            }
        })
    }
}

impl Site {
    fn requests(&self, page: &mut Page) {
        let help = "Requests to the attendance API that were answered, by route and status.";
        let mut family = page.counter("gema_attendance_requests_total", help);
        for ((route, status), count) in self.counts.requests.all() {
            family.sample(&[("route", &route), ("status", &status.to_string())], count);
        }
    }

    fn worker(&self, page: &mut Page) {
        let Counts { published, postponed, refused, given_up, .. } = &*self.counts;
        let counters = [
            ("gema_outbox_published_total", "Events that the broadcast server has taken.", published),
            ("gema_outbox_postponed_total", "Attempts that failed for a reason that may pass.", postponed),
            ("gema_outbox_refused_total", "Attempts that the broadcast server refused.", refused),
            ("gema_outbox_given_up_total", "Events that went to failed_jobs.", given_up),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help).sample(&[], counter.get());
        }
    }

    /// What cannot be read is left out.
    async fn database(&self, page: &mut Page) {
        if let Ok(Ok(queue)) = timeout(LOOK, self.store.backlog()).await {
            page.gauge("gema_outbox_waiting", "Events that wait, of the whole installation.")
                .sample(&[], queue.waiting);
            page.gauge("gema_outbox_oldest_seconds", "Age of the oldest of them.")
                .sample(&[], queue.oldest.as_secs_f64());
            page.gauge("gema_failed_jobs", "Events that were refused for good, of the whole installation.")
                .sample(&[], queue.failed);
        }
        let mut family = page.gauge("gema_database_connections", "Connections to the database, by state.");
        let (open, idle) = self.store.connections();
        family.sample(&[("state", "busy")], open.saturating_sub(idle)).sample(&[("state", "idle")], idle);
        let help = "Statements and attempts to connect that the database failed.";
        page.counter("gema_database_errors_total", help).sample(&[], self.store.errors());
    }
}
