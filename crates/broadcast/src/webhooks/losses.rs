//! Counts events that were not delivered, and says so in the log: at once, then not more often than every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::WebhookCounts;

/// Between two lines of the same kind.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// The losses of one endpoint, or of an app before its endpoints.
pub(super) struct Losses {
    counts: Arc<WebhookCounts>,
    app: String,
    endpoint: String,
    /// Not in the log yet, by reason.
    fresh: Vec<(String, u64)>,
    total: u64,
    next_line: Option<Instant>,
}

impl Losses {
    pub(super) fn new(app: &str, endpoint: &str, counts: &Arc<WebhookCounts>) -> Self {
        let (app, endpoint, counts) = (app.to_owned(), endpoint.to_owned(), counts.clone());
        Self { counts, app, endpoint, fresh: Vec::new(), total: 0, next_line: None }
    }

    /// Counts events lost for this reason.
    pub(super) fn add(&mut self, reason: &str, count: u64) {
        if count == 0 {
            return;
        }
        self.total += count;
        self.counts.dropped.add(usize::try_from(count).unwrap_or(usize::MAX));
        match self.fresh.iter_mut().find(|(known, _)| known == reason) {
            Some((_, fresh)) => *fresh += count,
            None => self.fresh.push((reason.to_owned(), count)),
        }
        self.report();
    }

    /// When the next line may be written, if there is one to write.
    pub(super) fn line_due(&self) -> Option<Instant> {
        self.next_line.filter(|_| !self.fresh.is_empty())
    }

    /// Writes what is not in the log yet, if its time has come.
    pub(super) fn report(&mut self) {
        if self.next_line.is_none_or(|next| next <= Instant::now()) {
            self.flush();
        }
    }

    /// Writes what is not in the log yet.
    pub(super) fn flush(&mut self) {
        let Self { app, endpoint, total, .. } = &*self;
        for (reason, events) in &self.fresh {
            tracing::warn!(app, endpoint, events, total, "webhook events dropped: {reason}");
        }
        if !self.fresh.is_empty() {
            self.fresh.clear();
            self.next_line = Some(Instant::now() + PAUSE);
        }
    }
}
