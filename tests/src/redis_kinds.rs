//! Several redis-servers that belong together: a Cluster, and a primary with a replica that sentinels watch.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{PATIENCE, Redis};

/// Milliseconds after which a server that does not answer counts as dead.
const DEAD_AFTER: &str = "1500";
/// What the sentinels call the primary.
const SERVICE: &str = "gema";

/// Three primaries with a replica each.
#[derive(Debug)]
pub struct RedisCluster {
    /// The servers; the first three began as primaries.
    pub servers: Vec<Redis>,
}

impl RedisCluster {
    /// Starts it and waits until every replica follows.
    pub async fn start() -> Self {
        let options =
            ["--cluster-enabled", "yes", "--cluster-port", "{port}", "--cluster-node-timeout", DEAD_AFTER];
        let options = [&options[..], &["--repl-ping-replica-period", "1"]].concat();
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(Redis::start_with(&options).await);
        }
        let this = Self { servers };
        let at: Vec<_> = this.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(at).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let said = tokio::task::spawn_blocking(move || create.output()).await.expect("no panic");
        let said = said.expect("redis-cli comes with redis-server");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        wait_until("every replica follows", || {
            this.servers.iter().all(|server| {
                server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && !server.cli(&["INFO", "replication"]).contains("master_link_status:down")
            }) && this.servers[3..].iter().all(|server| server.cli(&["ROLE"]).starts_with("slave"))
        })
        .await;
        this
    }

    /// Its URL, which names every server.
    #[must_use]
    pub fn url(&self) -> String {
        let others = self.servers[1..].iter().map(|server| format!("node=127.0.0.1:{}", server.port()));
        let others: Vec<_> = others.collect();
        format!("redis-cluster://127.0.0.1:{}?{}", self.servers[0].port(), others.join("&"))
    }

    /// The primary that has a key, and its replica, by their places in [`RedisCluster::servers`].
    #[must_use]
    pub fn of_key(&self, key: &str) -> (usize, usize) {
        let primary = self.place(|server| {
            server.cli(&["ROLE"]).starts_with("master") && !server.cli(&["GET", key]).starts_with("MOVED")
        });
        let port = format!("master_port:{}", self.servers[primary].port());
        (primary, self.place(|server| server.cli(&["INFO", "replication"]).contains(&port)))
    }

    fn place(&self, is_it: impl Fn(&Redis) -> bool) -> usize {
        self.servers.iter().position(is_it).expect("a server that is it")
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
}

impl Sentinels {
    /// Starts all and waits until they know each other.
    pub async fn start() -> Self {
        let primary = Redis::start().await;
        let port = primary.port().to_string();
        let replica = Redis::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(&port).await);
        }
        let this = Self { primary, replica, sentinels };
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
        let [first, second, third] = [0, 1, 2].map(|place: usize| self.sentinels[place].port());
        format!(
            "redis-sentinel://127.0.0.1:{first}?sentinelServiceName={SERVICE}\
             &node=127.0.0.1:{second}&node=127.0.0.1:{third}"
        )
    }
}

/// A sentinel wants a file that it can write.
async fn sentinel(port: &str) -> Redis {
    let options = [
        format!("sentinel monitor {SERVICE} 127.0.0.1 {port} 2"),
        format!("sentinel down-after-milliseconds {SERVICE} {DEAD_AFTER}"),
        format!("sentinel failover-timeout {SERVICE} 5000"),
    ];
    Redis::start_with(&options.each_ref().map(String::as_str)).await
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}
