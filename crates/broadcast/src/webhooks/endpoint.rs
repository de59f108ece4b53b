//! One endpoint: its queue, and the task that empties it.

use std::sync::Arc;

use gema_protocol::app::Credentials;
use gema_protocol::rate_limit::{Rate, RateLimiter};
use gema_protocol::webhook::Filter;
use gema_protocol::webhook::backlog::{Backlog, Batch, BatchSize};
use gema_protocol::webhook::event::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::delivery::{deliver, pause};
use super::losses::{self, Losses};
use super::post::{Post, Request};
use super::{Stages, Webhook, WebhookRules, WebhookUrl};
use crate::app::App;
use crate::metrics::WebhookCounts;

/// An endpoint at work.
pub(super) struct Endpoint {
    app: Credentials,
    url: WebhookUrl,
    filter: Filter,
    /// Without batching: one event.
    size: BatchSize,
    rules: WebhookRules,
    backlog: Mutex<Backlog>,
    news: Notify,
    stages: Stages,
    started: Instant,
    complaints: Mutex<RateLimiter>,
    counts: Arc<WebhookCounts>,
}

/// A batch that is done with, and why it was given up if it was.
type Done = (Batch, Result<(), String>);

impl Endpoint {
    pub(super) fn new(app: &App, webhook: &Webhook, rules: &WebhookRules, stages: &Stages) -> Self {
        let size = if webhook.batching { rules.batch } else { BatchSize { events: 1, ..rules.batch } };
        let seldom = Rate { times: 1, window: losses::PAUSE };
        Self {
            app: app.config.credentials.clone(),
            url: webhook.url.clone(),
            filter: webhook.filter.clone(),
            size,
            rules: rules.clone(),
            backlog: Mutex::new(Backlog::new(rules.queue_bytes)),
            news: Notify::new(),
            stages: stages.clone(),
            started: Instant::now(),
            complaints: Mutex::new(RateLimiter::new(seldom)),
            counts: app.webhooks.clone(),
        }
    }

    /// Queues the event if it is wanted here. Never waits.
    pub(super) fn offer(&self, event: &Event) {
        if self.filter.wants(event) {
            self.backlog.lock().push(event.clone());
            self.news.notify_one();
        }
    }

    /// Events that wait here or are on their way, and whose they are.
    pub(super) fn waiting(&self) -> (&str, usize) {
        (&self.app.id, self.backlog.lock().len())
    }

    /// Sends until the end, and then what is left.
    pub(super) async fn run<P: Post>(self: Arc<Self>, post: Arc<P>) {
        let mut losses = Losses::new(&self.app.id, &self.url.to_string(), &self.counts);
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
            let Some(batch) = self.backlog.lock().take(self.size) else { return };
            tries.spawn(self.clone().send(batch, post.clone()));
        }
    }

    async fn send<P: Post>(self: Arc<Self>, batch: Batch, post: Arc<P>) -> Done {
        let request = Request::new(&self.app, &self.url, batch.events());
        let failed = |why: &str| self.complain(why);
        let outcome = deliver(&*post, &request, &self.rules.retry, &self.stages.ending, failed).await;
        (batch, outcome)
    }

    /// Says that the endpoint does not take its events, but not each time.
    fn complain(&self, why: &str) {
        self.counts.failed.add(1);
        if self.complaints.lock().allows(self.started.elapsed()) {
            let (app, endpoint) = (&self.app.id, &self.url);
            tracing::warn!(app, %endpoint, "a webhook was not taken and is tried again: {why}");
        }
    }

    fn settle(&self, done: Result<Done, tokio::task::JoinError>, losses: &mut Losses) {
        let Ok((batch, outcome)) = done else { return };
        match outcome {
            Ok(()) => self.counts.sent.add(batch.events().len()),
            Err(why) => {
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

    /// Says how much is lost with the end of the process.
    pub(super) fn report_unsent(&self) {
        let unsent = self.backlog.lock().len() as u64;
        Losses::new(&self.app.id, &self.url.to_string(), &self.counts)
            .add("the server stopped before they were taken", unsent);
    }
}

/// Ends when a line about losses may be written; never if there is none.
async fn line_due(losses: &Losses) {
    match losses.line_due() {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
