//! The Redis that nodes and workers share, where one is set: for what is quick and may be lost. The database has all that
//! must not be.

use gema_cluster::redis::Plain;

use crate::config::RedisConfig;

/// A link to Redis and the names of our keys in it. Clones share the link.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    /// The link. Nobody waits for it while it is down, and nobody long when it breaks.
    pub link: Plain,
    /// What the names of our own keys begin with; one slot of a Cluster has all of them.
    namespace: String,
}

impl Redis {
    /// Begins to make the link, whether or not Redis is there.
    pub(crate) fn start(config: RedisConfig) -> Self {
        let namespace = format!("gema:{{{}:{}:attendance}}", config.prefix, config.address.database());
        Self { link: Plain::start(config.address, "the database serves in its place"), namespace }
    }

    /// The name of a key of ours.
    pub(crate) fn key(&self, kind: &str, id: &str) -> String {
        format!("{}:{kind}:{id}", self.namespace)
    }
}
