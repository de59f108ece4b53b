//! Questions that a request of a client or publisher waits for: [`PATIENCE`] at most, and not at all without a link.
//!
//! No other node is asked: the place where nodes meet knows what each has told. `None` says that it did not answer in
//! time; then the node goes by what it knows itself. What it has to say itself of what is asked about, it tells first.

use std::time::Duration;

use futures_util::future::join_all;
use gema_protocol::channel::ChannelName;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Node, PATIENCE};
use crate::engine::{Counts, EngineError, Kept};

impl Node {
    /// The channels that anybody subscribes to and whose names begin with `prefix`. Users are counted if asked for.
    pub async fn channels(&self, prefix: &str, users: bool) -> Option<Vec<(ChannelName, Counts)>> {
        self.ask(async {
            let untold = self.shared.truth.lock().untold();
            self.tell_first(untold.iter().filter(|name| name.starts_with(prefix))).await;
            let occupied = self.shared.engine.occupied(prefix).await?.into_iter();
            let mut all: Vec<_> =
                occupied.map(|(name, subscriptions)| (name, Counts { subscriptions, users: 0 })).collect();
            if users {
                self.count_users(&mut all).await?;
            }
            Ok(all)
        })
        .await
    }

    async fn count_users(&self, channels: &mut [(ChannelName, Counts)]) -> Result<(), EngineError> {
        let presence = channels.iter_mut().filter(|(name, _)| name.kind().is_presence());
        let (names, counts): (Vec<_>, Vec<_>) = presence.map(|(name, counts)| (name.clone(), counts)).unzip();
        let counted = self.shared.engine.counts(&names).await?;
        counts.into_iter().zip(counted).for_each(|(counts, counted)| counts.users = counted.users);
        Ok(())
    }

    /// How many there are in each of these channels, in the same order.
    pub async fn counts(&self, channels: &[ChannelName]) -> Option<Vec<Counts>> {
        self.ask(async {
            self.tell_first(channels).await;
            self.shared.engine.counts(channels).await
        })
        .await
    }

    /// The distinct users of a presence channel.
    pub async fn users_of(&self, channel: &ChannelName) -> Option<Vec<String>> {
        self.ask(async {
            self.tell_first([channel]).await;
            self.shared.engine.users_of(channel).await
        })
        .await
    }

    /// The last event that a cache channel keeps, if it keeps one. What this node has published itself and not told yet is
    /// newer; then it does not ask.
    pub async fn last_event(&self, channel: &ChannelName) -> Option<Option<Kept>> {
        if self.shared.outgoing.lock().has_waiting(channel) {
            return None;
        }
        self.ask(self.shared.engine.last_event(channel)).await
    }

    /// A subscriber of a cache channel found it empty: is this the first of the cluster within `period`? Without an answer
    /// the node decides for itself, as if it were.
    pub async fn is_first_miss(&self, channel: &ChannelName, period: Duration) -> bool {
        self.ask(self.shared.engine.is_first_miss(channel, period)).await.unwrap_or(true)
    }

    /// Ends when everybody knows what is true of this node's clients in these channels.
    async fn tell_first<'a>(&self, channels: impl IntoIterator<Item = &'a ChannelName>) {
        let waits: Vec<_> = channels.into_iter().filter_map(|channel| self.hurry(channel)).collect();
        if !waits.is_empty() {
            self.shared.to_claim.notify_one();
            join_all(waits).await;
        }
    }

    fn hurry(&self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        // Locked, so that the answer finds who waits for it. What this node has clients in, or had a moment ago, is here.
        let other = self.shared.others.get(channel)?;
        let mut other = other.lock();
        let step = self.shared.truth.lock().hurry(channel, self.shared.now())?;
        other.wait(Some(step))
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T, EngineError>>) -> Option<T> {
        if !self.is_linked() {
            return None;
        }
        let answer = timeout(PATIENCE, question).await.unwrap_or(Err(EngineError::Timeout(PATIENCE)));
        answer.inspect_err(|error| tracing::debug!(%error, "answered without the cluster")).ok()
    }
}
