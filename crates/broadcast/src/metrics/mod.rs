//! What an operator can see from outside: `/metrics` for Prometheus, on a port of its own.
//!
//! What there is now (connections, channels, backlogs) is read from where it lives when somebody asks, so it cannot drift.
//! What has happened is counted where it happens ([`counts`]): once per message, request or flush, never per subscriber of
//! a fan-out. [`gather`] puts both together, [`page`] writes the text, [`listener`] serves it. Each name is explained in
//! `docs/metrics.md`.

mod counts;
mod gather;
mod listener;
mod page;
mod process;

pub(crate) use counts::{Tally, Traffic, WebhookCounts};
pub(crate) use listener::serve;

use std::sync::Arc;

use crate::server::Shared;
use crate::webhooks::Waiting;

/// All that is looked at when somebody asks.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) waiting: Waiting,
}
