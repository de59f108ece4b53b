//! Hands published events to their channels and waits until every subscriber was served.

use std::sync::Arc;

use bytes::Bytes;
use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::publish::Publish;
use gema_protocol::webhook::decide::Fact;
use tokio::time::Instant;

use super::answer::{self, Answer};
use crate::app::App;
use crate::cache::Cached;
use crate::channel::{Channel, Delivery};
use crate::server::Shared;

/// Publishes events in order: all of them, or none when a channel's backlog is full.
pub(super) async fn publish(shared: &Shared, app: &App, events: &[Publish<'_>]) -> Result<(), Answer> {
    publish_within(shared.config.backlog_bytes, app, events).await
}

async fn publish_within(backlog: usize, app: &App, events: &[Publish<'_>]) -> Result<(), Answer> {
    let mut targets = events.iter().flat_map(|event| &event.channels);
    if targets.any(|name| is_full(app, name, backlog)) {
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
    // Nobody misses what is there.
    let may_be_missed = cached.as_ref().is_none_or(|event| event.remaining().is_none());
    *cached = Some(Cached { frame: frame.clone(), data: event.data.to_string(), expires });
    if let Some(facts) = app.facts.as_ref().filter(|_| may_be_missed) {
        facts.push(Fact::Cached(name.clone()));
    }
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

#[cfg(test)]
mod tests {
    use gema_protocol::app::{Credentials, Secret};
    use gema_protocol::publish::parse_batch;
    use hyper::{StatusCode, header};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::app::Apps;
    use crate::channel::Joiner;
    use crate::config::{AppConfig, Config};
    use crate::outbound::Outbound;
    use crate::registration::random_id;

    fn app() -> Arc<App> {
        let credentials = Credentials { id: "1".into(), key: "k".into(), secret: Secret::new("s".into()) };
        let apps = Apps::new(&Config::new(vec![AppConfig::new(credentials)])).unwrap();
        apps.by_id("1").unwrap().clone()
    }

    async fn outbound() -> Arc<Outbound> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        Arc::new(Outbound::new(random_id(), socket, 1 << 20))
    }

    #[tokio::test]
    async fn a_full_backlog_is_503_for_the_whole_batch_until_it_is_flushed() {
        let (app, outbound) = (app(), outbound().await);
        let joiner = Joiner { outbound: &outbound, member: None, most_members: None, then: None };
        let [full, free] = ["full", "free"].map(|name| ChannelName::parse(name, 200).unwrap());
        let (full, _joined) = app.channels.join(&full, &joiner).unwrap();
        let (free, _joined) = app.channels.join(&free, &joiner).unwrap();
        let body =
            br#"{"batch":[{"name":"e","channel":"free","data":""},{"name":"e","channel":"full","data":""}]}"#;
        let events = parse_batch(body, &app.config.limits).unwrap();

        let waiting = full.push(Bytes::from_static(b"1234"), None);
        let refusal = publish_within(3, &app, &events).await.unwrap_err().into_response();
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.headers()[header::RETRY_AFTER], "1");
        assert_eq!((full.backlog(), free.backlog()), (4, 0), "nothing of the batch waits anywhere");

        full.flush();
        waiting.wait().await;
        publish_within(3, &app, &events).await.unwrap();
        let waiting = full.push(Bytes::from_static(b"1234"), None);
        publish_within(4, &app, &events).await.unwrap();
        waiting.wait().await;
    }
}
