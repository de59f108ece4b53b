//! Asks for topics and lets them go, one request at a time.

use std::sync::Arc;
use std::time::Duration;

use gema_protocol::channel::ChannelName;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Change, Shared};
use crate::interest::Request;

/// How often topics that nobody needs are looked for.
const PAUSE: Duration = Duration::from_secs(1);
/// Rest after a failed request.
const REST: Duration = Duration::from_millis(50);

/// Goes on until the hearing task ends.
pub(super) async fn run(shared: Arc<Shared>, changes: mpsc::Sender<Change>) {
    loop {
        let _ = timeout(PAUSE, shared.to_hold.notified()).await;
        while shared.is_linked() {
            let Some(request) = shared.interest.lock().next_request(shared.now()) else { break };
            let Some(change) = carry_out(&shared, request).await else { continue };
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

/// What has changed; `None` when the request failed.
async fn carry_out(shared: &Shared, request: Request) -> Option<Change> {
    match request {
        Request::Subscribe(channels) => match shared.engine.subscribe(&channels).await {
            Ok(()) => {
                for channel in channels.iter().filter(|channel| channel.kind().is_cache()) {
                    keep_last_event(shared, channel).await;
                }
                Some(Change::Held(shared.interest.lock().subscribed()))
            }
            Err(error) => {
                tracing::debug!(%error, "topics were not confirmed; they are asked for again");
                shared.interest.lock().failed();
                sleep(REST).await;
                None
            }
        },
        Request::Unsubscribe(channels) => {
            // If the link breaks now, the topics are gone with it.
            let _ = shared.engine.unsubscribe(&channels).await;
            Some(Change::LetGo(channels))
        }
    }
}

/// Before anybody joins: what a newcomer is sent first. What this node has published itself and not told yet is newer.
async fn keep_last_event(shared: &Shared, channel: &ChannelName) {
    match shared.engine.last_event(channel).await {
        Ok(Some((text, time))) if !shared.outgoing.lock().has_waiting(channel) => {
            shared.listener.keep(channel, &text, time);
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%channel, %error, "the last event is not known"),
    }
}
