//! Hands published events to their channels and waits until every subscriber was served.

use std::sync::Arc;

use bytes::Bytes;
use gema_cluster::entry::Event;
use gema_cluster::node::{ACKNOWLEDGE, Acknowledged};
use gema_cluster::outgoing::Full;
use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::publish::Publish;
use tokio::time::Instant;

use super::answer::{self, Answer};
use crate::app::App;
use crate::channel::{Channel, Delivery, To};
use crate::cluster::termination_of;
use crate::server::Shared;

/// What a publisher that asks for it waits for beyond the local delivery: until every event is in the cluster's log.
pub(super) struct Confirmation {
    deadline: Instant,
    on_their_way: Vec<Acknowledged>,
    /// An event for which there was no room.
    lost: bool,
}

impl Confirmation {
    /// From now on.
    pub(super) fn new() -> Self {
        Self { deadline: Instant::now() + ACKNOWLEDGE, on_their_way: Vec::new(), lost: false }
    }

    /// An event that was given to the cluster; `None` on a node that is alone.
    fn take(&mut self, told: Option<Result<Acknowledged, Full>>) {
        match told {
            Some(Ok(on_its_way)) => self.on_their_way.push(on_its_way),
            Some(Err(_)) => self.lost = true,
            None => {}
        }
    }

    /// 503 when the cluster has not confirmed everything in time.
    async fn wait(self) -> Result<(), Answer> {
        for event in self.on_their_way {
            event.by(self.deadline).await.map_err(|_| answer::not_confirmed())?;
        }
        if self.lost { Err(answer::not_confirmed()) } else { Ok(()) }
    }
}

/// Publishes events in order: all of them, or none when a channel's backlog is full. With a confirmation, also waits until
/// the cluster has them.
pub(super) async fn publish(
    shared: &Shared,
    app: &App,
    events: &[Publish<'_>],
    confirmation: Option<Confirmation>,
) -> Result<(), Answer> {
    publish_within(shared.config.backlog_bytes, app, events, confirmation).await
}

async fn publish_within(
    backlog: usize,
    app: &App,
    events: &[Publish<'_>],
    mut confirmation: Option<Confirmation>,
) -> Result<(), Answer> {
    let each = events.iter().flat_map(|event| event.channels.iter().map(move |name| (event, name)));
    let targets: Vec<_> = each.map(|(event, name)| (event, name, app.channels.get(name))).collect();
    let mut channels = targets.iter().filter_map(|(.., channel)| channel.as_ref());
    if channels.any(|channel| channel.backlog() > backlog) {
        return Err(answer::backlog_full());
    }
    app.traffic.published.add(targets.len());
    // Every event is handed over before the first wait, so that a cancelled request cannot publish half a batch.
    let mut deliveries: Vec<Delivery> = Vec::new();
    for (event, name, channel) in targets {
        deliveries.extend(hand_over(app, name, channel, event, confirmation.as_mut()));
    }
    for delivery in deliveries {
        delivery.wait().await;
    }
    match confirmation {
        Some(confirmation) => confirmation.wait().await,
        None => Ok(()),
    }
}

/// Encodes the event once, if anybody can want it, and gives it to the other nodes, the cache and the channel.
fn hand_over(
    app: &App,
    name: &ChannelName,
    channel: Option<Arc<Channel>>,
    event: &Publish<'_>,
    confirmation: Option<&mut Confirmation>,
) -> Option<Delivery> {
    if channel.is_none() && !name.kind().is_cache() && !app.cluster.is_on() {
        return None;
    }
    let frame = frame::event(&event.name, name, &event.data);
    tell(app, name, &frame, event, confirmation);
    if name.kind().is_cache() {
        return app.cache.keep_and_push(&app.channels, name, frame, To::all_but(event.socket_id));
    }
    Some(channel?.publish(frame, To::all_but(event.socket_id)))
}

/// Gives the event to the other nodes.
fn tell(
    app: &App,
    name: &ChannelName,
    frame: &Bytes,
    event: &Publish<'_>,
    confirmation: Option<&mut Confirmation>,
) {
    let (except, keep) = (event.socket_id, name.kind().is_cache());
    let event = || Event { text: frame::payload(frame), except, keep };
    match confirmation {
        None => app.cluster.tell(name, event),
        Some(confirmation) => confirmation.take(app.cluster.tell_acknowledged(name, event)),
    }
}

/// Tells the other nodes to end a user's connections; waits for the cluster's word if the request asks for it.
pub(super) async fn tell_termination(
    app: &App,
    user: &str,
    confirmation: Option<Confirmation>,
) -> Result<(), Answer> {
    let (control, command) = (ChannelName::control(), || termination_of(user));
    let Some(mut confirmation) = confirmation else {
        app.cluster.tell(&control, command);
        return Ok(());
    };
    confirmation.take(app.cluster.tell_acknowledged(&control, command));
    confirmation.wait().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let joiner = Joiner { outbound: &outbound, member: None, most_members: None, then: None, now_ms: 0 };
        let [full, free] = ["full", "free"].map(|name| ChannelName::parse(name, 200).unwrap());
        let (full, _joined) = app.channels.join(&full, &joiner).unwrap();
        let (free, _joined) = app.channels.join(&free, &joiner).unwrap();
        let body =
            br#"{"batch":[{"name":"e","channel":"free","data":""},{"name":"e","channel":"full","data":""}]}"#;
        let events = parse_batch(body, &app.config.limits).unwrap();

        let waiting = full.push(Bytes::from_static(b"1234"), To::default());
        let refusal = publish_within(3, &app, &events, None).await.unwrap_err().into_response();
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.headers()[header::RETRY_AFTER], "1");
        assert_eq!((full.backlog(), free.backlog()), (4, 0), "nothing of the batch waits anywhere");

        full.flush();
        waiting.wait().await;
        publish_within(3, &app, &events, None).await.unwrap();
        let waiting = full.push(Bytes::from_static(b"1234"), To::default());
        publish_within(4, &app, &events, None).await.unwrap();
        waiting.wait().await;
    }
}
