//! Hands published events to their channels and waits until every subscriber was served.

use std::sync::Arc;

use bytes::Bytes;
use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::publish::Publish;
use tokio::time::Instant;

use super::answer::{self, Answer};
use crate::app::App;
use crate::cache::Cached;
use crate::channel::{Channel, Delivery};
use crate::server::Shared;

/// Publishes events in order: all of them, or none when a channel's backlog is full.
pub(super) async fn publish(shared: &Shared, app: &App, events: &[Publish<'_>]) -> Result<(), Answer> {
    let mut targets = events.iter().flat_map(|event| &event.channels);
    if targets.any(|name| is_full(app, name, shared.config.backlog_bytes)) {
        return Err(answer::backlog_full());
    }
    // Every event is handed over before the first wait, so that a cancelled request cannot publish half a batch.
    let deliveries: Vec<Delivery> = events.iter().flat_map(|event| hand_over(app, event)).collect();
    for delivery in deliveries {
        delivery.wait().await;
    }
    Ok(())
}

fn is_full(app: &App, name: &ChannelName, limit: usize) -> bool {
    app.channels.get(name).is_some_and(|channel| channel.backlog() > limit)
}

/// One frame per channel that is occupied or keeps its last event, encoded once for all subscribers.
fn hand_over<'a>(app: &'a App, event: &'a Publish<'_>) -> impl Iterator<Item = Delivery> + 'a {
    event.channels.iter().filter_map(|name| {
        if name.kind().is_cache() {
            return keep_and_push(app, name, event);
        }
        let channel = app.channels.get(name)?;
        Some(channel.publish(encode(name, event), event.socket_id))
    })
}

/// Keeps the event for later subscribers, whether or not anybody is there now.
fn keep_and_push(app: &App, name: &ChannelName, event: &Publish<'_>) -> Option<Delivery> {
    let frame = encode(name, event);
    let expires = Instant::now() + app.config.limits.cache_ttl;
    let slot = app.cache.slot(name);
    let mut cached = slot.lock();
    *cached = Some(Cached { frame: frame.clone(), data: event.data.to_string(), expires });
    let pushed: Option<(Arc<Channel>, Delivery)> = app.channels.get(name).map(|channel| {
        let delivery = channel.push(frame, event.socket_id);
        (channel, delivery)
    });
    drop(cached);
    pushed.map(|(channel, delivery)| {
        channel.flush();
        delivery
    })
}

fn encode(name: &ChannelName, event: &Publish<'_>) -> Bytes {
    frame::event(&event.name, name, &event.data)
}
