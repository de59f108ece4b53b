//! One endpoint: its queue, and the task that empties it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gema_cluster::name::Partition;
use gema_cluster::webhook::Parcel;
use gema_protocol::app::Credentials;
use gema_protocol::rate_limit::{Rate, RateLimiter};
use gema_protocol::signature::sign_webhook;
use gema_protocol::webhook::backlog::{Backlog, Batch, BatchSize};
use gema_protocol::webhook::event::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::clustered::{Clustered, Kept};
use super::delivery::{deliver, pause};
use super::losses::{self, Losses};
use super::post::{Post, Request, now_ms};
use super::{Stages, Webhook, WebhookRules};
use crate::app::App;
use crate::metrics::WebhookCounts;

/// An endpoint at work.
pub(super) struct Endpoint {
    app: Credentials,
    webhook: Webhook,
    /// Its number among the app's endpoints.
    index: usize,
    /// What all nodes call it.
    name: String,
    /// Without batching: one event.
    size: BatchSize,
    rules: WebhookRules,
    backlog: Mutex<Backlog>,
    /// Batches that another node has begun.
    begun: Mutex<VecDeque<Begun>>,
    /// Where batches are kept; `None`: in memory alone, as there are no other nodes.
    clustered: Option<Arc<Clustered>>,
    /// Events of which nobody keeps a copy, in batches that wait to be kept.
    unkept: AtomicUsize,
    news: Notify,
    stages: Stages,
    started: Instant,
    complaints: Mutex<RateLimiter>,
    counts: Arc<WebhookCounts>,
}

/// A batch that another node has begun, with its request, where that is kept, and how long it has been tried.
type Begun = (Batch, (Request, Partition), Duration);

/// A batch that is done with, and why it was given up if it was; `None`: another node sends it.
type Done = (Batch, Option<Result<(), String>>);

impl Endpoint {
    pub(super) fn new(
        app: &App,
        (index, webhook): (usize, &Webhook),
        rules: &WebhookRules,
        stages: &Stages,
        clustered: Option<Arc<Clustered>>,
    ) -> Self {
        let size = if webhook.batching { rules.batch } else { BatchSize { events: 1, ..rules.batch } };
        let seldom = Rate { times: 1, window: losses::PAUSE };
        Self {
            app: app.config.credentials.clone(),
            webhook: webhook.clone(),
            index,
            name: name(&app.config.credentials, webhook),
            size,
            rules: rules.clone(),
            backlog: Mutex::new(Backlog::new(rules.queue_bytes)),
            begun: Mutex::default(),
            clustered,
            unkept: AtomicUsize::new(0),
            news: Notify::new(),
            stages: stages.clone(),
            started: Instant::now(),
            complaints: Mutex::new(RateLimiter::new(seldom)),
            counts: app.webhooks.clone(),
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The same on every node with the same settings.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn wants(&self, event: &Event) -> bool {
        self.webhook.filter.wants(event)
    }

    /// A request that is made now.
    pub(super) fn request(&self, events: &[Event]) -> Request {
        Request::new(&self.app, &self.webhook.url, events)
    }

    /// Queues an event. Never waits; false when there is no room.
    pub(super) fn offer(&self, event: &Event) -> bool {
        let has_room = self.backlog.lock().push(event.clone(), self.started.elapsed());
        self.news.notify_one();
        has_room
    }

    /// Sends a batch of another node, before all else of its channels. `events` stand for its own.
    pub(super) fn resume(&self, events: Vec<Event>, delivery: String, parcel: &Parcel, kept_in: Partition) {
        let request = Request::again(&self.app, &self.webhook.url, delivery, parcel.body.clone());
        let batch = self.backlog.lock().take_over(events, self.started.elapsed());
        let age = Duration::from_millis(now_ms().saturating_sub(parcel.made_ms));
        self.begun.lock().push_back((batch, (request, kept_in), age));
        self.news.notify_one();
    }

    /// Events that wait here or are on their way, and whose they are.
    pub(super) fn waiting(&self) -> (&str, usize) {
        (&self.app.id, self.backlog.lock().len())
    }

    /// Sends until the end, and then what is left.
    pub(super) async fn run<P: Post>(self: Arc<Self>, post: Arc<P>) {
        let mut losses = Losses::new(&self.app.id, &self.webhook.url.to_string(), &self.counts);
        let mut tries: JoinSet<Done> = JoinSet::new();
        loop {
            // Read before the queue: nothing is added once this is so.
            let last = self.stages.decided.is_cancelled();
            self.send_batches(&mut tries, &post);
            losses.add("its queue was full", self.backlog.lock().take_refused());
            if last && tries.is_empty() {
                return losses.flush();
            }
            tokio::select! {
                Some(done) = tries.join_next() => self.settle(done, &mut losses),
                () = self.news.notified() => self.gather().await,
                () = self.stages.decided.cancelled(), if !last => {}
                () = line_due(&losses) => losses.report(),
            }
        }
    }

    /// Sends as many batches at once as may be.
    fn send_batches<P: Post>(self: &Arc<Self>, tries: &mut JoinSet<Done>, post: &Arc<P>) {
        while tries.len() < self.rules.in_flight {
            if let Some(begun) = self.begun.lock().pop_front() {
                tries.spawn(self.clone().send_again(begun, post.clone()));
            } else if let Some(batch) = self.backlog.lock().take(self.size) {
                tries.spawn(self.clone().send(batch, post.clone()));
            } else {
                return;
            }
        }
    }

    async fn send<P: Post>(self: Arc<Self>, batch: Batch, post: Arc<P>) -> Done {
        let Some(clustered) = &self.clustered else {
            let outcome = self.deliver(&self.request(batch.events()), Duration::ZERO, &post).await;
            return (batch, Some(outcome));
        };
        let (request, outcome) = match self.keep(clustered, &batch).await {
            Kept::Yes(request, partition) => {
                let outcome = self.deliver(&request, Duration::ZERO, &post).await;
                (Some((request, partition)), Some(outcome))
            }
            Kept::No(request) => (request, Some(Err("Redis did not take them".to_owned()))),
            Kept::ByAnother => (None, None),
        };
        self.done(&batch, request.as_ref());
        (batch, outcome)
    }

    async fn send_again<P: Post>(self: Arc<Self>, (batch, request, age): Begun, post: Arc<P>) -> Done {
        let outcome = self.deliver(&request.0, age, &post).await;
        self.done(&batch, Some(&request));
        (batch, Some(outcome))
    }

    /// In a cluster a batch is kept before it leaves; it waits for Redis as long as it may be tried.
    async fn keep(&self, clustered: &Clustered, batch: &Batch) -> Kept {
        let unkept = batch.events().iter().filter(|event| event.ticket() == 0).count();
        self.unkept.fetch_add(unkept, Ordering::Relaxed);
        let kept =
            clustered.keep(self, batch, self.started + batch.oldest() + self.rules.retry.give_up).await;
        self.unkept.fetch_sub(unkept, Ordering::Relaxed);
        kept
    }

    async fn deliver<P: Post>(&self, request: &Request, age: Duration, post: &Arc<P>) -> Result<(), String> {
        let failed = |why: &str| self.complain(why);
        deliver(&**post, request, (&self.rules.retry, age), &self.stages.ending, failed).await
    }

    fn done(&self, batch: &Batch, request: Option<&(Request, Partition)>) {
        if let Some(clustered) = &self.clustered {
            let tickets: Vec<_> = batch.events().iter().map(Event::ticket).collect();
            clustered.done(
                self,
                &tickets,
                request.map(|(request, partition)| (*partition, &*request.delivery)),
            );
        }
    }

    /// Says that the endpoint does not take its events, but not each time.
    fn complain(&self, why: &str) {
        self.counts.failed.add(1);
        if self.complaints.lock().allows(self.started.elapsed()) {
            let (app, endpoint) = (&self.app.id, &self.webhook.url);
            tracing::warn!(app, %endpoint, "a webhook was not taken and is tried again: {why}");
        }
    }

    fn settle(&self, done: Result<Done, tokio::task::JoinError>, losses: &mut Losses) {
        let Ok((batch, outcome)) = done else { return };
        match outcome {
            None => {}
            Some(Ok(())) => self.counts.sent.add(batch.events().len()),
            Some(Err(why)) => {
                let reason = format!("given up after {} seconds: {why}", self.rules.retry.give_up.as_secs());
                losses.add(&reason, batch.events().len() as u64);
            }
        }
        self.backlog.lock().finished(&batch);
    }

    /// Lets events come together for a request.
    async fn gather(&self) {
        let full = async {
            while !self.backlog.lock().fills(self.size) {
                self.news.notified().await;
            }
        };
        tokio::select! {
            () = full => {}
            () = pause(self.rules.window, &self.stages.ending) => {}
        }
    }

    /// Says how much is lost with the end of the process. What Redis has is another node's business.
    pub(super) fn report_unsent(&self) {
        let backlog = self.backlog.lock();
        let unsent = match self.clustered {
            None => backlog.len(),
            Some(_) => backlog.unkept() + self.unkept.load(Ordering::Relaxed),
        } as u64;
        Losses::new(&self.app.id, &self.webhook.url.to_string(), &self.counts)
            .add("the server stopped before they were taken", unsent);
    }
}

/// Tells an endpoint from the others of its app, without saying where it is.
fn name(app: &Credentials, webhook: &Webhook) -> String {
    let Webhook { url, filter, batching } = webhook;
    let mut name = sign_webhook(&app.secret, format!("{} {filter:?} {batching}", url.expose()).as_bytes());
    name.truncate(16);
    name
}

/// Ends when a line about losses may be written; never if there is none.
async fn line_due(losses: &Losses) {
    match losses.line_due() {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
