//! Webhooks at work: from what happens in an app to requests that its back ends have taken.
//!
//! Channels push facts into a bounded queue ([`facts`]) under the lock that decides their order, and go on. One task per
//! app decides which events follow ([`desk`], with the rules of [`gema_protocol::webhook::decide`]) and puts each into
//! the queue of every endpoint that wants it. One task per endpoint ([`endpoint`]) makes batches of its queue and sends
//! them ([`delivery`], [`post`]), so that a dead endpoint delays nobody else.
//!
//! With several nodes, what is true of all of them is decided where they meet, and batches are kept there ([`clustered`]);
//! the rest is the same.

mod clustered;
mod delivery;
mod desk;
mod endpoint;
mod facts;
mod in_hand;
mod losses;
mod post;
#[cfg(test)]
mod tests;
mod url;

use std::sync::Arc;
use std::time::Duration;

use gema_protocol::webhook::Filter;
use gema_protocol::webhook::backlog::BatchSize;
use gema_protocol::webhook::decide::GRACE;
use gema_protocol::webhook::retry::Retry;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub(crate) use facts::Facts;
pub(crate) use post::{HttpPost, Post};
pub use url::WebhookUrl;

use crate::app::App;
use crate::config::Config;
use clustered::Clustered;
use desk::Desk;
use endpoint::Endpoint;

/// An endpoint of an app.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Which events.
    pub filter: Filter,
    /// Whether several events may share a request.
    pub batching: bool,
}

/// How long webhooks take and how much they hold. The defaults are meant to stay; tests change them.
#[derive(Clone, Debug)]
pub struct WebhookRules {
    /// How long a channel may be empty, or a user away, before an event says so.
    pub grace: Duration,
    /// How long an event waits for others to share its request.
    pub window: Duration,
    /// Most events, and bytes of events, in one request.
    pub batch: BatchSize,
    /// How long a request may take.
    pub timeout: Duration,
    /// When it is tried again.
    pub retry: Retry,
    /// Requests of one endpoint that may be on their way at once.
    pub in_flight: usize,
    /// Bytes that may wait in each queue: one per app, one per endpoint.
    pub queue_bytes: usize,
}

impl Default for WebhookRules {
    fn default() -> Self {
        Self {
            grace: GRACE,
            window: Duration::from_millis(50),
            batch: BatchSize { events: 100, bytes: 256 * 1024 },
            timeout: Duration::from_secs(5),
            retry: Retry::default(),
            in_flight: 8,
            queue_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The order in which webhooks come to their end.
#[derive(Clone, Default)]
struct Stages {
    /// The end has begun: nothing waits for a grace period, a window or a long pause any more.
    ending: CancellationToken,
    /// No fact is added any more.
    told: CancellationToken,
    /// No event is added any more.
    decided: CancellationToken,
}

/// What waits for endpoints to take it.
pub(crate) struct Waiting(Vec<Arc<Endpoint>>);

impl Waiting {
    /// Events of one app, counted once per endpoint.
    pub(crate) fn of(&self, app_id: &str) -> usize {
        let all = self.0.iter().map(|endpoint| endpoint.waiting());
        all.filter(|(owner, _)| *owner == app_id).map(|(_, events)| events).sum()
    }
}

/// The tasks of all apps' webhooks.
pub(crate) struct Running {
    stages: Stages,
    desks: JoinSet<()>,
    tasks: JoinSet<()>,
    endpoints: Vec<Arc<Endpoint>>,
    clustered: Vec<Arc<Clustered>>,
}

impl Running {
    /// Starts the tasks of every app that has webhooks.
    pub(crate) fn start<'a, P: Post>(
        apps: impl Iterator<Item = &'a Arc<App>>,
        config: &Config,
        post: Option<&Arc<P>>,
    ) -> Self {
        let (desks, tasks) = (JoinSet::new(), JoinSet::new());
        let mut running =
            Self { stages: Stages::default(), desks, tasks, endpoints: Vec::new(), clustered: Vec::new() };
        for app in apps {
            if let (Some(facts), Some(post)) = (&app.facts, post) {
                running.add(app, facts, &config.webhooks, post);
            }
        }
        running
    }

    fn add<P: Post>(&mut self, app: &App, facts: &Arc<Facts>, rules: &WebhookRules, post: &Arc<P>) {
        let elsewhere = app.cluster.webhooks(facts::wanted(&app.config.webhooks), rules.grace);
        let elsewhere = elsewhere.map(|(hooks, news)| (Arc::new(Clustered::new(hooks)), news));
        let clustered = elsewhere.as_ref().map(|(clustered, _)| clustered.clone());
        let webhooks = app.config.webhooks.iter().enumerate();
        let endpoints: Vec<_> = webhooks
            .map(|webhook| Endpoint::new(app, webhook, rules, &self.stages, clustered.clone()))
            .map(Arc::new)
            .collect();
        for endpoint in &endpoints {
            self.tasks.spawn(endpoint.clone().run(post.clone()));
        }
        self.endpoints.extend(endpoints.iter().cloned());
        self.clustered.extend(clustered);
        let desk = Desk::new(app, facts.clone(), endpoints, rules, &self.stages);
        self.desks.spawn(desk.hearing(elsewhere).run());
    }

    /// What waits, to be looked at from time to time.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(self.endpoints.clone())
    }

    /// The end has begun: what waits for its time is sent now.
    pub(crate) fn hurry(&self) {
        self.stages.ending.cancel();
    }

    /// Ends once everything was sent, or at the deadline: what is left then is counted in the log.
    pub(crate) async fn end(mut self, deadline: Instant) {
        self.hurry();
        self.stages.told.cancel();
        while self.desks.join_next().await.is_some() {}
        self.stages.decided.cancel();
        let all_sent = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout_at(deadline, all_sent).await;
        self.tasks.shutdown().await;
        for clustered in &self.clustered {
            let _ = timeout_at(deadline, clustered.finished()).await;
        }
        self.endpoints.iter().for_each(|endpoint| endpoint.report_unsent());
    }
}
