//! Rung by each commit that added events to the outbox, so that they need not wait until a worker looks.
//!
//! A bell that nobody hears costs time only: the rows are there.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use crate::worker::Worker;

/// Who is told. Nobody, unless something is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell {
    /// The worker of this process.
    pub wake: Arc<Notify>,
    /// Those of other processes, through Redis; what it has no room for is found by the sweeper.
    pub list: Option<Sender<i64>>,
    /// With `sync`: publishes before the request is answered.
    pub at_once: Option<Arc<Worker>>,
}

impl Bell {
    /// Tells of rows that were committed.
    pub(crate) async fn ring(&self, rows: &[i64]) {
        if rows.is_empty() {
            return;
        }
        if let Some(worker) = &self.at_once {
            return worker.publish_at_once(rows).await;
        }
        self.wake.notify_one();
        if let Some(list) = &self.list {
            for row in rows {
                // A full channel is one whose link to Redis is down.
                let _ = list.try_send(*row);
            }
        }
    }
}
