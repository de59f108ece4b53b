//! Decides about an app's facts and gives each event to the endpoints that want it.

use std::sync::Arc;
use std::time::Duration;

use gema_cluster::node::hooks::News;
use gema_protocol::webhook::decide::{Decider, Periods};
use gema_protocol::webhook::event::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::clustered::Clustered;
use super::endpoint::Endpoint;
use super::facts::Facts;
use super::losses::Losses;
use super::{Stages, WebhookRules};
use crate::app::App;

/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3600);

/// One app's decisions.
pub(super) struct Desk {
    facts: Arc<Facts>,
    decider: Decider,
    endpoints: Vec<Arc<Endpoint>>,
    losses: Losses,
    stages: Stages,
    /// What the nodes decide together.
    elsewhere: Option<(Arc<Clustered>, mpsc::Receiver<News>)>,
}

impl Desk {
    pub(super) fn new(
        app: &App,
        facts: Arc<Facts>,
        endpoints: Vec<Arc<Endpoint>>,
        rules: &WebhookRules,
        stages: &Stages,
    ) -> Self {
        let decider = Decider::new(Periods { grace: rules.grace, miss: app.config.limits.cache_ttl });
        let losses = Losses::new(&app.config.credentials.id, "all endpoints", &app.webhooks);
        Self { facts, decider, endpoints, losses, stages: stages.clone(), elsewhere: None }
    }

    /// With what the nodes decide together, if there are several.
    pub(super) fn hearing(self, elsewhere: Option<(Arc<Clustered>, mpsc::Receiver<News>)>) -> Self {
        Self { elsewhere, ..self }
    }

    /// Works until no fact can come any more.
    pub(super) async fn run(mut self) {
        loop {
            // Read before the queue: what is pushed later must be younger than what has become due.
            let last = self.stages.told.is_cancelled();
            self.decide();
            if last {
                return self.losses.flush();
            }
            self.wait().await;
        }
    }

    fn decide(&mut self) {
        let mut events = Vec::new();
        if self.stages.ending.is_cancelled() {
            self.decider.finish(&mut events);
        }
        let now = self.facts.now();
        let (facts, lost) = self.facts.take();
        for (at, fact) in facts {
            self.decider.on(fact, at, &mut events);
        }
        self.decider.release(now, &mut events);
        for event in &events {
            self.hand_out(event);
        }
        self.losses.add("too much happened at once, its queue was full", lost);
    }

    /// What finds no room is counted by the endpoint.
    fn hand_out(&self, event: &Event) {
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.wants(event)) {
            let _ = endpoint.offer(event);
        }
    }

    fn receive(&mut self, news: &News) {
        if let Some((clustered, _)) = &self.elsewhere {
            let unknown = clustered.receive(news, &self.endpoints) as u64;
            self.losses.add("their endpoint is not configured on this server", unknown);
        }
        self.losses.add("there was no room in Redis", news.lost);
    }

    async fn wait(&mut self) {
        let due = self.decider.next_due().map(|time| self.facts.moment(time));
        let next = [due, self.losses.line_due()].into_iter().flatten().min();
        let mut elsewhere = self.elsewhere.as_mut();
        let heard = tokio::select! {
            news = heard(&mut elsewhere) => Some(news),
            () = self.facts.news() => None,
            () = sleep_until(next.unwrap_or_else(|| Instant::now() + LONG)) => None,
            () = self.stages.told.cancelled() => None,
            () = self.stages.ending.cancelled(), if !self.stages.ending.is_cancelled() => None,
        };
        if let Some(news) = heard {
            self.receive(&news);
        }
        self.losses.report();
    }
}

/// The next that the nodes have decided; never, for an app on one node.
async fn heard(elsewhere: &mut Option<&mut (Arc<Clustered>, mpsc::Receiver<News>)>) -> News {
    if let Some((_, news)) = elsewhere
        && let Some(news) = news.recv().await
    {
        return news;
    }
    std::future::pending().await
}
