//! What an operator can see from outside, beside the other roles of the process (`gema_metrics`).
//!
//! What there is now (connections, channels, backlogs) is read from where it lives when somebody asks, so it cannot drift.
//! What has happened is counted where it happens ([`counts`]): once per message, request or flush, never per subscriber of
//! a fan-out. [`gather`] puts both together. Each name is explained in `docs/metrics.md`.

mod counts;
mod gather;

pub(crate) use counts::{Traffic, WebhookCounts};

use std::sync::Arc;

use gema_metrics::{Health, Page, Source, Task};

use crate::api::health;
use crate::server::Shared;
use crate::webhooks::Waiting;

/// All that is looked at when somebody asks.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) waiting: Waiting,
}

impl Source for Site {
    fn add<'a>(&'a self, page: &'a mut Page) -> Task<'a, ()> {
        Box::pin(gather::add(self, page))
    }

    fn health(&self) -> Task<'_, Health> {
        Box::pin(async { health::of(&self.shared) })
    }
}
