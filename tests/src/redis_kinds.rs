//! Several redis-servers that belong together: a Cluster, and a primary with a replica that sentinels watch.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::redis::GUEST;
use crate::{Authority, PATIENCE, Redis};

/// Milliseconds after which a server that does not answer counts as dead.
const DEAD_AFTER: &str = "1500";
/// What the sentinels call the primary.
const SERVICE: &str = "gema";

/// Three primaries with a replica each.
#[derive(Debug)]
pub struct RedisCluster {
    /// The servers; the first three began as primaries.
    pub servers: Vec<Redis>,
    is_secure: bool,
}

impl RedisCluster {
    /// Starts it and waits until every replica follows.
    pub async fn start() -> Self {
        Self::start_as(None).await
    }

    /// One in which everybody speaks TLS with everybody. [`RedisCluster::url`] has a user and password with these rights.
    pub async fn start_guarded(authority: &Authority, rights: &str) -> Self {
        let this = Self::start_as(Some(authority)).await;
        this.servers.iter().for_each(|server| server.admit(rights));
        this
    }

    async fn start_as(authority: Option<&Authority>) -> Self {
        let options =
            ["--cluster-enabled", "yes", "--cluster-port", "{bus}", "--cluster-node-timeout", DEAD_AFTER];
        let options = [&options[..], &["--repl-ping-replica-period", "1"]].concat();
        let secure = [&options[..], &["--tls-cluster", "yes"]].concat();
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(match authority {
                Some(authority) => Redis::start_secure(authority, &secure).await,
                None => Redis::start_with(&options).await,
            });
        }
        let this = Self { servers, is_secure: authority.is_some() };
        this.join(authority).await;
        wait_until("every replica follows", || {
            this.is_whole()
                && this.servers[3..].iter().all(|server| server.cli(&["ROLE"]).starts_with("slave"))
        })
        .await;
        this
    }

    /// Makes them one.
    async fn join(&self, authority: Option<&Authority>) {
        let mut create = Command::new("redis-cli");
        if let Some(authority) = authority {
            create.arg("--tls").arg("--cacert").arg(authority.root());
        }
        create.args(["--cluster", "create"]).args(self.places());
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let said = tokio::task::spawn_blocking(move || create.output()).await.expect("no panic");
        let said = said.expect("redis-cli comes with redis-server");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }

    fn is_whole(&self) -> bool {
        self.servers.iter().all(|server| {
            server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                && !server.cli(&["INFO", "replication"]).contains("master_link_status:down")
        })
    }

    fn port(&self, server: &Redis) -> u16 {
        if self.is_secure { server.tls_port() } else { server.port() }
    }

    fn places(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("127.0.0.1:{}", self.port(server))).collect()
    }

    /// Its URL, which names every server.
    #[must_use]
    pub fn url(&self) -> String {
        let begin =
            if self.is_secure { format!("rediss-cluster://{GUEST}@") } else { "redis-cluster://".to_owned() };
        let places = self.places();
        format!("{begin}{}?node={}", places[0], places[1..].join("&node="))
    }

    /// The primary that has a key, and its replica, by their places in [`RedisCluster::servers`].
    #[must_use]
    pub fn of_key(&self, key: &str) -> (usize, usize) {
        let primary = self.primary_of(key);
        let port = format!("master_port:{}", self.port(&self.servers[primary]));
        (primary, self.place(|server| server.cli(&["INFO", "replication"]).contains(&port)))
    }

    /// The primary that has a key.
    #[must_use]
    pub fn primary_of(&self, key: &str) -> usize {
        self.place(|server| {
            server.cli(&["ROLE"]).starts_with("master") && !server.cli(&["GET", key]).starts_with("MOVED")
        })
    }

    fn place(&self, is_it: impl Fn(&Redis) -> bool) -> usize {
        self.servers.iter().position(is_it).expect("a server that is it")
    }

    /// Begins to move the slot of a key to another primary, with half of what lies in it.
    #[must_use]
    pub fn begin_move(&self, key: &str) -> Move<'_> {
        let from = self.primary_of(key);
        let to = (0..self.servers.len())
            .find(|place| *place != from && self.servers[*place].cli(&["ROLE"]).starts_with("master"))
            .expect("another primary");
        let slot = self.servers[from].cli(&["CLUSTER", "KEYSLOT", key]);
        let [from, to] = [from, to].map(|place| &self.servers[place]);
        let id = |server: &Redis| server.cli(&["CLUSTER", "MYID"]);
        let this = Move { from, to, to_id: id(to), port: self.port(to).to_string(), slot };
        this.set(to, &["IMPORTING", &id(from)]);
        this.set(from, &["MIGRATING", &this.to_id]);
        this.carry(this.keys().len().div_ceil(2));
        this
    }
}

/// A slot on its way from one primary to another.
#[derive(Debug)]
pub struct Move<'a> {
    from: &'a Redis,
    to: &'a Redis,
    to_id: String,
    port: String,
    slot: String,
}

impl Move<'_> {
    /// Brings the rest over and tells both whose the slot is.
    pub fn end(self) {
        while let count @ 1.. = self.keys().len() {
            self.carry(count);
        }
        for server in [self.to, self.from] {
            self.set(server, &["NODE", &self.to_id]);
        }
    }

    fn set(&self, server: &Redis, state: &[&str]) {
        assert_eq!(server.cli(&[&["CLUSTER", "SETSLOT", &self.slot], state].concat()), "OK");
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.from.cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        keys.lines().filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    fn carry(&self, count: usize) {
        for key in self.keys().iter().take(count) {
            // NOKEY: it has ended meanwhile.
            let said = self.from.cli(&["MIGRATE", "127.0.0.1", &self.port, key, "0", "5000"]);
            assert!(matches!(&*said, "OK" | "NOKEY"), "{key}: {said}");
        }
    }
}

/// A primary, its replica, and three sentinels that promote it.
#[derive(Debug)]
pub struct Sentinels {
    /// What begins as the primary.
    pub primary: Redis,
    /// What is promoted.
    pub replica: Redis,
    sentinels: Vec<Redis>,
    is_secure: bool,
}

impl Sentinels {
    /// Starts all and waits until they know each other.
    pub async fn start() -> Self {
        Self::start_as(None).await
    }

    /// As [`RedisCluster::start_guarded`].
    pub async fn start_guarded(authority: &Authority, rights: &str) -> Self {
        let this = Self::start_as(Some(authority)).await;
        [&this.primary, &this.replica].into_iter().for_each(|server| server.admit(rights));
        this
    }

    async fn start_as(authority: Option<&Authority>) -> Self {
        let start = async |options: &[&str]| match authority {
            Some(authority) => Redis::start_secure(authority, options).await,
            None => Redis::start_with(options).await,
        };
        let primary = start(&[]).await;
        let port = if authority.is_some() { primary.tls_port() } else { primary.port() };
        let replica = start(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
        let lines = watch(port);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(start(&lines).await);
        }
        let this = Self { primary, replica, sentinels, is_secure: authority.is_some() };
        wait_until("the sentinels know each other and the replica", || {
            this.sentinels.iter().all(|sentinel| {
                let known = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]);
                let fields: Vec<_> = known.lines().collect();
                let has = |name, count| fields.windows(2).any(|pair| pair == [name, count]);
                has("num-slaves", "1") && has("num-other-sentinels", "2")
            })
        })
        .await;
        this
    }

    /// Its URL, which names every sentinel.
    #[must_use]
    pub fn url(&self) -> String {
        let begin = if self.is_secure {
            format!("rediss-sentinel://{GUEST}@")
        } else {
            "redis-sentinel://".to_owned()
        };
        let port = |server: &Redis| if self.is_secure { server.tls_port() } else { server.port() };
        let [first, second, third] = [0, 1, 2].map(|place: usize| port(&self.sentinels[place]));
        format!(
            "{begin}127.0.0.1:{first}?sentinelServiceName={SERVICE}\
             &node=127.0.0.1:{second}&node=127.0.0.1:{third}"
        )
    }
}

/// What a sentinel has to be told, as lines of a file that it can write.
fn watch(port: u16) -> [String; 3] {
    [
        format!("sentinel monitor {SERVICE} 127.0.0.1 {port} 2"),
        format!("sentinel down-after-milliseconds {SERVICE} {DEAD_AFTER}"),
        format!("sentinel failover-timeout {SERVICE} 5000"),
    ]
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}
