//! What has happened since the start.

use gema_metrics::Counter;

/// What went in and out of one app.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Connections that were let in.
    pub(crate) opened: Counter,
    /// Connections that were cut because their client did not read.
    pub(crate) slow: Counter,
    /// Messages of clients, and their bytes.
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    /// Messages of clients that were answered with an error.
    pub(crate) refused: Counter,
    /// Events that publishers and clients of this server have published, once per channel.
    pub(crate) published: Counter,
    /// Events handed to subscribers, once per subscriber, and the bytes of their frames.
    pub(crate) delivered: Counter,
    pub(crate) delivered_bytes: Counter,
}

/// What became of the events of one app's webhooks.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounts {
    /// Taken by an endpoint.
    pub(crate) sent: Counter,
    /// Requests that were not taken; most are tried again.
    pub(crate) failed: Counter,
    /// Given up.
    pub(crate) dropped: Counter,
}
