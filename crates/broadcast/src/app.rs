//! One app: its settings, its connections and its channels. And the set of all apps, found by key or by id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use dashmap::DashMap;
use gema_protocol::channel::ChannelName;
use gema_protocol::socket_id::SocketId;
use gema_protocol::webhook::Kind;
use gema_protocol::webhook::decide::Fact;

use crate::cache::Cache;
use crate::channels::Channels;
use crate::cluster::Cluster;
use crate::config::{AppConfig, Config, ConfigError};
use crate::metrics::{Traffic, WebhookCounts};
use crate::outbound::Outbound;
use crate::registration::Quota;
use crate::users::Users;
use crate::webhooks::Facts;

/// One app at work.
pub(crate) struct App {
    /// Its settings.
    pub(crate) config: AppConfig,
    /// Its occupied channels.
    pub(crate) channels: Arc<Channels>,
    /// Every open connection: the only map keyed by socket id. Entries are owned by
    /// [`Registration`](crate::registration::Registration).
    pub(crate) connections: DashMap<SocketId, Arc<Outbound>>,
    /// Places for connections.
    pub(crate) quota: Arc<Quota>,
    /// Who is who among the connections.
    pub(crate) users: Arc<Users>,
    /// The last events of its cache channels.
    pub(crate) cache: Arc<Cache>,
    /// Its share of the other nodes.
    pub(crate) cluster: Cluster,
    /// Connections that ended by a fault of ours.
    pub(crate) faults: AtomicUsize,
    /// The server drains, and other servers take its clients.
    pub(crate) sends_elsewhere: AtomicBool,
    /// What its webhooks are about; `None` without webhooks.
    pub(crate) facts: Option<Arc<Facts>>,
    /// What has come in and gone out.
    pub(crate) traffic: Arc<Traffic>,
    /// What became of its webhooks.
    pub(crate) webhooks: Arc<WebhookCounts>,
}

/// All apps of a server.
pub(crate) struct Apps {
    by_id: HashMap<String, Arc<App>>,
    by_key: HashMap<String, Arc<App>>,
}

impl App {
    fn new(config: AppConfig, fact_bytes: usize, clustered: bool) -> Self {
        let facts = Facts::wanted_by(&config.webhooks, fact_bytes, clustered);
        let ttl = config.limits.cache_ttl;
        let traffic: Arc<Traffic> = Arc::default();
        let channels = Channels::new(facts.clone(), traffic.clone(), config.subscription_count);
        Self {
            config,
            channels: Arc::new(channels),
            connections: DashMap::new(),
            quota: Arc::default(),
            users: Arc::default(),
            cache: Arc::new(Cache::new(ttl, facts.clone())),
            cluster: Cluster::default(),
            faults: AtomicUsize::new(0),
            sends_elsewhere: AtomicBool::new(false),
            facts,
            traffic,
            webhooks: Arc::default(),
        }
    }

    /// A subscriber has found a cache channel empty. Of all nodes the first says so, without keeping anybody waiting.
    pub(crate) fn report_miss(self: &Arc<Self>, channel: ChannelName) {
        let Some(facts) = self.facts.clone().filter(|facts| facts.need(Kind::CacheMiss)) else { return };
        if !self.cluster.is_on() {
            return facts.push(Fact::Missed(channel));
        }
        let app = self.clone();
        tokio::spawn(async move {
            let Some(node) = app.cluster.node() else { return };
            if node.is_first_miss(&channel, app.cache.ttl()).await {
                facts.push(Fact::Missed(channel));
            }
        });
    }
}

impl Apps {
    /// Fails when there is none or when two share an id or a key.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut apps = Self { by_id: HashMap::new(), by_key: HashMap::new() };
        if config.apps.is_empty() {
            return Err(ConfigError::NoApp);
        }
        for app in config.apps.clone() {
            apps.add(Arc::new(App::new(app, config.webhooks.queue_bytes, config.cluster.is_some())))?;
        }
        Ok(apps)
    }

    /// The app whose clients connect with this key.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<App>> {
        self.by_key.get(key)
    }

    /// The app whose publishers name this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id)
    }

    /// Every app, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<App>> {
        self.by_id.values()
    }

    fn add(&mut self, app: Arc<App>) -> Result<(), ConfigError> {
        let (id, key) = (app.config.credentials.id.clone(), app.config.credentials.key.clone());
        if self.by_id.insert(id.clone(), app.clone()).is_some() {
            return Err(ConfigError::Duplicate { what: "id", value: id });
        }
        if self.by_key.insert(key.clone(), app).is_some() {
            return Err(ConfigError::Duplicate { what: "key", value: key });
        }
        Ok(())
    }
}
