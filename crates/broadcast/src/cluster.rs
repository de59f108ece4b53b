//! An app's tie to the other nodes. A node that is alone has none, and pays for none.
//!
//! What the nodes share and how is [`gema_cluster`]'s business; here is where its events and members go, and what tells it of
//! ours.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use gema_cluster::engine::{Engine, Notices};
use gema_cluster::entry::{Event, Origin};
use gema_cluster::name::Namespace;
use gema_cluster::node::hooks::{Hooks, News};
use gema_cluster::node::{Acknowledged, Listener, Node, PATIENCE};
use gema_cluster::outgoing::Full;
use gema_cluster::redis::Redis;
use gema_cluster::replica::Change;
use gema_cluster::seal::Sealer;
use gema_cluster::webhook::Rules;
use gema_protocol::channel::{ChannelKind, ChannelName};
use gema_protocol::frame;
use gema_protocol::presence::{Member, UserId};
use gema_protocol::webhook::Kinds;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::app::App;
use crate::cache::Cache;
use crate::channel::To;
use crate::channels::Channels;
use crate::config::{ClusterConfig, Termination};
use crate::registration::{Quota, random_number};
use crate::users::Users;

/// What a termination on the control topic begins with; the user's id follows. Another version may know more commands.
const TERMINATE: &str = "terminate:";

/// The tie; empty until it is made, and for ever on a node that is alone.
#[derive(Default)]
pub(crate) struct Cluster(OnceLock<Node>);

impl Cluster {
    /// Ties the app to the others over Redis. Happens once, before the first connection.
    pub(crate) fn join_redis(app: &App, config: &ClusterConfig) {
        let credentials = &app.config.credentials;
        let database = config.redis.database();
        let namespace = Namespace::new(&config.prefix, &config.scaling_channel, database, &credentials.id);
        let (origin, sealer) = (Origin(random_number()), Sealer::new(&credentials.secret));
        let (engine, notices) = Redis::start(config.redis.clone(), namespace, sealer, origin.0);
        Self::join(app, Arc::new(engine), notices, origin, config.outgoing_bytes);
    }

    /// Ties the app to the others, wherever they meet.
    pub(crate) fn join(app: &App, engine: Arc<dyn Engine>, notices: Notices, origin: Origin, limit: usize) {
        let remote = Arc::new(Remote::of(app));
        let node = app.cluster.0.get_or_init(|| Node::start(engine, notices, remote, origin, limit));
        app.channels.tie(node.others().clone());
        // Held for ever; nobody waits for it: what comes before it is held is in its log.
        let _ = node.hold(&ChannelName::control());
    }

    /// Ends when what was published here is in Redis; the caller bounds the wait.
    pub(crate) async fn told(&self) {
        if let Some(node) = self.0.get() {
            node.told().await;
        }
    }

    /// This node's share of the others, if there are others.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.0.get()
    }

    /// Leaves the other nodes; nothing is told or heard afterwards. The caller bounds the wait.
    pub(crate) async fn resign(&self) {
        if let Some(node) = self.0.get() {
            node.resign().await;
        }
    }

    /// Begins to decide about webhooks of these kinds together with the other nodes; `None` on a node that is alone.
    pub(crate) fn webhooks(&self, kinds: Kinds, grace: Duration) -> Option<(Hooks, mpsc::Receiver<News>)> {
        Some(self.0.get()?.webhooks(Rules { kinds, grace }))
    }

    /// Are there other nodes?
    pub(crate) fn is_on(&self) -> bool {
        self.0.get().is_some()
    }

    /// Does the link stand? False on a node that is alone.
    pub(crate) fn is_linked(&self) -> bool {
        self.0.get().is_some_and(Node::is_linked)
    }

    /// A number that the tie has counted; 0 on a node that is alone.
    pub(crate) fn counted(&self, read: impl FnOnce(&Node) -> u64) -> u64 {
        self.0.get().map_or(0, read)
    }

    /// Gives an event to the other nodes. What there is no room for is counted there.
    pub(crate) fn tell(&self, channel: &ChannelName, event: impl FnOnce() -> Event) {
        if let Some(node) = self.0.get() {
            // The node counts and logs what it cannot take; this node's clients get the event all the same.
            let _ = node.publish(channel, event());
        }
    }

    /// As [`Cluster::tell`], for a publisher that waits; `None` on a node that is alone.
    pub(crate) fn tell_acknowledged(
        &self,
        channel: &ChannelName,
        event: impl FnOnce() -> Event,
    ) -> Option<Result<Acknowledged, Full>> {
        Some(self.0.get()?.publish_acknowledged(channel, event()))
    }

    /// Takes a place for a connection with `take`, which is told how many this node may have: `limit`, or its share.
    pub(crate) async fn place(&self, limit: usize, take: impl Fn(usize) -> bool) -> bool {
        match self.0.get() {
            None => take(limit),
            Some(node) => node.place(|most| take(usize::try_from(most).unwrap_or(usize::MAX))).await,
        }
    }

    /// A client comes to a channel, as this member if it is a presence channel. The receiver fires once its events of
    /// other nodes are heard and their members are known, or when the client has waited long enough; `None`: at once.
    pub(crate) fn enter(
        &self,
        channel: &ChannelName,
        member: Option<&Member>,
    ) -> Option<oneshot::Receiver<()>> {
        let node = self.0.get()?;
        let wait = if is_own(channel) { node.hold(channel) } else { node.enter(channel, member) };
        wait.map(bounded)
    }

    /// A client has signed in as a user, and is going to watch others. The receiver fires once events to the user are heard
    /// and it is known who of the others is online elsewhere, or when the client has waited long enough; `None`: at once.
    pub(crate) fn sign_in<'a>(
        &self,
        id: &str,
        watched: impl Iterator<Item = &'a str>,
    ) -> Option<oneshot::Receiver<()>> {
        let node = self.0.get()?;
        let own = node.enter(&ChannelName::of_user(id), None);
        let watched = watched.filter_map(|id| node.look_up(&ChannelName::of_user(id)));
        let waits: Vec<_> = own.into_iter().chain(watched).collect();
        (!waits.is_empty()).then(|| bounded(join_all(waits)))
    }

    /// Takes a [`Cluster::sign_in`] back.
    pub(crate) fn sign_out<'a>(&self, id: &str, watched: impl Iterator<Item = &'a str>) {
        let Some(node) = self.0.get() else { return };
        node.leave(&ChannelName::of_user(id), None);
        watched.for_each(|id| node.release(&ChannelName::of_user(id)));
    }

    /// Looks whether other nodes have signed-in connections of a user whose channel is held, while nothing new is learned of
    /// that. On a node that is alone none has.
    pub(crate) fn with_elsewhere(&self, id: &str, look: impl FnOnce(bool)) {
        match self.0.get() {
            Some(node) => {
                node.others().with(&ChannelName::of_user(id), |others| look(others.subscriptions() > 0));
            }
            None => look(false),
        }
    }

    /// A client has left a channel, or has not come in after all.
    pub(crate) fn leave(&self, channel: &ChannelName, user: Option<&UserId>) {
        match self.0.get() {
            Some(node) if is_own(channel) => node.release(channel),
            Some(node) => node.leave(channel, user),
            None => {}
        }
    }

    /// The cluster's clock, in milliseconds since 1970; 0 on a node that is alone.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.get().map_or(0, Node::now_ms)
    }
}

/// In a user's own channel it is the sign-ins that count, not who listens.
fn is_own(channel: &ChannelName) -> bool {
    channel.kind() == ChannelKind::ServerToUser
}

/// Fires when the wait ends, or when a client has waited long enough.
fn bounded(wait: impl Future + Send + 'static) -> oneshot::Receiver<()> {
    let (done, waited) = oneshot::channel();
    tokio::spawn(async move {
        // Late or not, the client goes on; what it would have missed comes from the log, or as a change of members.
        let _ = timeout(PATIENCE, wait).await;
        let _ = done.send(());
    });
    waited
}

/// Where events of other nodes go.
struct Remote {
    channels: Arc<Channels>,
    cache: Arc<Cache>,
    quota: Arc<Quota>,
    most: Option<usize>,
    users: Arc<Users>,
    termination: Termination,
}

/// What the other nodes are told when a user's connections are to end.
pub(crate) fn termination_of(user: &str) -> Event {
    Event { text: format!("{TERMINATE}{user}").into(), except: None, keep: false }
}

impl Remote {
    fn of(app: &App) -> Self {
        Self {
            channels: app.channels.clone(),
            cache: app.cache.clone(),
            quota: app.quota.clone(),
            most: app.config.max_connections,
            users: app.users.clone(),
            termination: app.config.termination(),
        }
    }

    /// A command of another node.
    fn obey(&self, command: &Event, late: Option<u64>) {
        let text = str::from_utf8(&command.text).unwrap_or_default();
        match text.strip_prefix(TERMINATE) {
            Some(user) => self.users.terminate(user, self.termination, late),
            None => tracing::warn!("a command of another node is unknown here; do all run the same version?"),
        }
    }
}

impl Listener for Remote {
    fn deliver(&self, channel: &ChannelName, event: Event, late: Option<u64>) {
        if channel.is_control() {
            return self.obey(&event, late);
        }
        let to = To { except: event.except, late };
        let delivery = if event.keep && channel.kind().is_cache() {
            self.cache.keep_and_push(&self.channels, channel, frame::text(&event.text), to)
        } else {
            // Looked up first: a topic is held for a while after the last has left.
            self.channels.get(channel).map(|channel| channel.publish(frame::text(&event.text), to))
        };
        // Nobody here waits for the fan-out; the publisher was answered by its own node.
        drop(delivery);
    }

    fn keep(&self, channel: &ChannelName, text: &str, time: Duration) {
        self.cache.keep(channel, frame::text(text.as_bytes()), time);
    }

    fn members(&self, channel: &ChannelName, changes: Vec<Change>) {
        if let Some(channel) = self.channels.get(channel) {
            channel.follow(&changes);
        }
    }

    fn count(&self, channel: &ChannelName, elsewhere: u64) {
        if let Some(id) = channel.user_id() {
            self.users.set_elsewhere(id, elsewhere > 0);
        }
        let Some(channel) = self.channels.get(channel) else { return };
        channel.count_elsewhere(elsewhere);
        self.channels.announce_count(&channel);
    }

    fn cache_ttl(&self) -> Duration {
        self.cache.ttl()
    }

    fn connections(&self) -> u64 {
        self.quota.taken() as u64
    }

    fn most_connections(&self) -> Option<u64> {
        self.most.map(|most| most as u64)
    }
}
