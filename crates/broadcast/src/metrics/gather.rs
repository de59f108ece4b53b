//! Reads everything and writes it to the page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use gema_cluster::node::Node;
use gema_metrics::Page;
use gema_protocol::channel::ChannelKind;
use tokio::task::yield_now;

use super::Site;
use super::counts::{Traffic, WebhookCounts};
use crate::app::App;

/// Channels that are counted before other work may run.
const AT_ONCE: usize = 1_000;

/// Everything as it is now.
pub(super) async fn add(site: &Site, page: &mut Page) {
    let apps = Apps::of(site);
    apps.connections(page);
    apps.channels(page).await;
    apps.traffic(page);
    requests(site, page);
    apps.webhooks(site, page);
    apps.cluster(page);
}

fn requests(site: &Site, page: &mut Page) {
    let help = "Requests that were answered, by route and status.";
    let mut family = page.counter("gema_http_requests_total", help);
    for ((route, status), count) in site.shared.requests_answered.all() {
        family.sample(&[("route", route), ("status", &status.to_string())], count);
    }
    let help = "Connections that were refused in the handshake, by close code.";
    let mut family = page.counter("gema_connections_refused_total", help);
    for (code, count) in site.shared.refusals.all() {
        family.sample(&[("code", &code.to_string())], count);
    }
}

/// Every app, in the order of their ids.
struct Apps<'a>(BTreeMap<&'a str, &'a App>);

impl<'a> Apps<'a> {
    fn of(site: &'a Site) -> Self {
        Self(site.shared.apps.all().map(|app| (app.config.credentials.id.as_str(), &**app)).collect())
    }

    /// One sample per app.
    fn gauge(&self, page: &mut Page, name: &'static str, help: &str, read: impl Fn(&App) -> u64) {
        let mut family = page.gauge(name, help);
        for (id, app) in &self.0 {
            family.sample(&[("app", id)], read(app));
        }
    }

    /// One sample per app.
    fn counter(&self, page: &mut Page, name: &'static str, help: &str, read: impl Fn(&App) -> u64) {
        let mut family = page.counter(name, help);
        for (id, app) in &self.0 {
            family.sample(&[("app", id)], read(app));
        }
    }

    fn connections(&self, page: &mut Page) {
        let open = |app: &App| app.connections.len() as u64;
        self.gauge(page, "gema_connections", "WebSocket connections that are open.", open);
        let faults = |app: &App| app.faults.load(Ordering::Relaxed) as u64;
        let help = "Connections that a fault of the server has ended; each is in the log.";
        self.counter(page, "gema_faults_total", help, faults);
    }

    async fn channels(&self, page: &mut Page) {
        let mut counted = Vec::new();
        for (id, app) in &self.0 {
            counted.push((*id, count_channels(app).await));
        }
        let mut family = page.gauge("gema_channels", "Channels with a subscriber on this server, by kind.");
        for (id, kinds) in &counted {
            for (kind, (channels, _)) in kinds {
                family.sample(&[("app", id), ("kind", kind)], channels);
            }
        }
        let mut family = page.gauge("gema_subscriptions", "Subscriptions of this server's clients, by kind.");
        for (id, kinds) in &counted {
            for (kind, (_, subscriptions)) in kinds {
                family.sample(&[("app", id), ("kind", kind)], subscriptions);
            }
        }
    }

    fn traffic(&self, page: &mut Page) {
        for (name, help, read) in TRAFFIC {
            self.counter(page, name, help, |app| read(&app.traffic));
        }
    }

    fn webhooks(&self, site: &Site, page: &mut Page) {
        for (name, help, read) in WEBHOOKS {
            self.counter(page, name, help, |app| read(&app.webhooks));
        }
        let waiting = |app: &App| site.waiting.of(&app.config.credentials.id) as u64;
        self.gauge(
            page,
            "gema_webhook_events_waiting",
            "Events that wait for an endpoint to take them.",
            waiting,
        );
    }

    /// Only on servers that share channels with others.
    fn cluster(&self, page: &mut Page) {
        if !self.0.values().any(|app| app.cluster.is_on()) {
            return;
        }
        let linked = |app: &App| u64::from(app.cluster.is_linked());
        self.gauge(page, "gema_cluster_linked", "1 while the link to Redis stands.", linked);
        let events = |app: &App| app.cluster.counted(|node| node.waiting().0);
        self.gauge(page, "gema_cluster_waiting_events", "Events that Redis has not taken yet.", events);
        let bytes = |app: &App| app.cluster.counted(|node| node.waiting().1);
        self.gauge(page, "gema_cluster_waiting_bytes", "Bytes that these events take.", bytes);
        for (name, help, read) in CLUSTER {
            self.counter(page, name, help, |app| app.cluster.counted(read));
        }
    }
}

/// A name, what it means, and where it is counted.
type Counted<T> = (&'static str, &'static str, fn(&T) -> u64);

const TRAFFIC: [Counted<Traffic>; 8] = [
    ("gema_connections_opened_total", "WebSocket connections that were let in.", |t| t.opened.get()),
    ("gema_connections_too_slow_total", "Connections cut because the client did not read.", |t| t.slow.get()),
    ("gema_messages_received_total", "Messages of clients.", |t| t.received.get()),
    ("gema_messages_received_bytes_total", "Bytes of these messages.", |t| t.received_bytes.get()),
    ("gema_messages_refused_total", "Messages of clients that were answered with an error.", |t| {
        t.refused.get()
    }),
    ("gema_events_published_total", "Events published at this server, once per channel.", |t| {
        t.published.get()
    }),
    ("gema_events_delivered_total", "Events handed to subscribers, once per subscriber.", |t| {
        t.delivered.get()
    }),
    ("gema_events_delivered_bytes_total", "Bytes of the frames handed to subscribers.", |t| {
        t.delivered_bytes.get()
    }),
];

const WEBHOOKS: [Counted<WebhookCounts>; 3] = [
    ("gema_webhook_events_sent_total", "Events that an endpoint has taken.", |w| w.sent.get()),
    ("gema_webhook_requests_failed_total", "Requests that no endpoint took; most are tried again.", |w| {
        w.failed.get()
    }),
    ("gema_webhook_events_dropped_total", "Events that were given up.", |w| w.dropped.get()),
];

const CLUSTER: [Counted<Node>; 8] = [
    ("gema_cluster_events_told_total", "Events that Redis has taken for the other servers.", |n| {
        read(&n.flow().told)
    }),
    ("gema_cluster_events_heard_total", "Events of other servers, replayed ones included.", |n| {
        read(&n.flow().heard)
    }),
    ("gema_cluster_events_replayed_total", "Events of other servers that came late, from the log.", |n| {
        read(&n.flow().replayed)
    }),
    ("gema_cluster_events_lost_total", "Events published here that Redis never took.", |n| {
        read(&n.losses().told)
    }),
    ("gema_cluster_events_missed_total", "Events of other servers that were missing from the log.", |n| {
        read(&n.losses().heard)
    }),
    (
        "gema_cluster_leases_lost_total",
        "Times that this server was declared dead and went on as a new one.",
        |n| read(&n.deaths().leases_lost),
    ),
    ("gema_cluster_nodes_reaped_total", "Dead servers that this server buried.", |n| {
        read(&n.deaths().nodes_reaped)
    }),
    (
        "gema_cluster_messages_refused_total",
        "What Redis had that no server of ours wrote, or that could not be read.",
        Node::refused,
    ),
];

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Channels and subscriptions of each kind. Walks every channel, with pauses.
async fn count_channels(app: &App) -> BTreeMap<&'static str, (usize, usize)> {
    let mut kinds: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for some in app.channels.all().chunks(AT_ONCE) {
        for channel in some {
            let (channels, subscriptions) = kinds.entry(name(channel.name().kind())).or_default();
            *channels += 1;
            *subscriptions += channel.subscription_count();
        }
        yield_now().await;
    }
    kinds
}

fn name(kind: ChannelKind) -> &'static str {
    match kind.prefix().trim_end_matches('-') {
        "" => "public",
        "#server-to-user" => "user",
        prefix => prefix,
    }
}
