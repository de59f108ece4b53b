//! Hands published events to their channels and waits until every subscriber was served.

use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::publish::Publish;

use super::answer::{self, Answer};
use crate::app::App;
use crate::channel::Delivery;
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

/// One frame per occupied channel, encoded once for all its subscribers.
fn hand_over<'a>(app: &'a App, event: &'a Publish<'_>) -> impl Iterator<Item = Delivery> + 'a {
    event.channels.iter().filter_map(|name| {
        let channel = app.channels.get(name)?;
        let frame = frame::event(&event.name, name, &event.data);
        Some(channel.publish(frame, event.socket_id))
    })
}
