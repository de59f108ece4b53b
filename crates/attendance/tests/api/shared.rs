//! What the nodes share through a Redis, and that nothing but speed is lost with it.

use std::time::Duration;

use gema_attendance::{Config, RedisAddress, RedisConfig};
use gema_tests::{Authority, Cut, Redis};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep, timeout};

use crate::csrf::Browser;
use crate::kit::{Kit, Node, PATIENCE, Stage};
use crate::throttle::guess;

/// A stage with a Redis, and two nodes each with a wire of its own to it.
struct Pair {
    stage: Stage,
    redis: Redis,
    wires: [Cut; 2],
    nodes: [Node; 2],
}

fn with_redis(mut config: Config, url: &str) -> Config {
    // A busy machine is no broken link.
    let address = RedisAddress::parse(url).unwrap().patient(8);
    config.redis = Some(RedisConfig { address, prefix: "office".into() });
    config
}

impl Pair {
    async fn start() -> Self {
        let (stage, redis) = (Stage::new().await, Redis::start().await);
        let wires = [Cut::before(&redis), Cut::before(&redis)];
        let [a, b] = &wires;
        let node = async |wire: &Cut| stage.node(with_redis(stage.config(), &wire.url())).await;
        let nodes = [node(a).await, node(b).await];
        Self { stage, redis, wires, nodes }
    }

    /// Waits until a node writes down in Redis that this session is used.
    async fn linked(&self, user: &Browser, node: &Node) {
        const MARK: u64 = 100;
        let key = key(user);
        self.redis.cli(&["EXPIRE", &key, &MARK.to_string()]);
        eventually("a use in Redis", async || {
            assert_eq!(status(user, node).await, 200);
            self.redis.cli(&["TTL", &key]).parse::<i64>().unwrap() > MARK as i64
        })
        .await;
    }

    async fn both_linked(&self, user: &Browser) {
        for node in &self.nodes {
            self.linked(user, node).await;
        }
    }

    fn has(&self, user: &Browser) -> bool {
        self.redis.cli(&["EXISTS", &key(user)]) == "1"
    }

    async fn set_end(&self, ago: Duration) {
        let end = (jiff::Timestamp::now() - ago).strftime("%Y-%m-%d %H:%M:%S%.6f");
        self.stage.sql(&format!("UPDATE sessions SET expires_at = '{end}'")).await;
    }
}

fn key(user: &Browser) -> String {
    let hash: String = Sha256::digest(&user.session).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("gema:{{office:0:attendance}}:session:{hash}")
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < 2 * PATIENCE, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// What a node says to somebody who asks who they are. A request that hangs fails the test.
async fn status(user: &Browser, node: &Node) -> u16 {
    timeout(PATIENCE, user.get(node, "/api/user").send()).await.expect("an answer").status
}

async fn sign_in(node: &Node) -> Browser {
    Browser::open(node).await.sign_in(node).await
}

#[tokio::test]
async fn issue_6_redis_counts_tries_for_all_nodes() {
    let pair = Pair::start().await;
    let user = sign_in(&pair.nodes[0]).await;
    assert_eq!(status(&user, &pair.nodes[1]).await, 200, "one node knows whom the other signed in");
    pair.both_linked(&user).await;
    for i in 0..5 {
        assert_eq!(guess(&pair.nodes[i % 2], "a@example.com").await.status, 422);
    }
    for node in &pair.nodes {
        let reply = guess(node, "a@example.com").await;
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!(reply.status == 429 && (1..=60).contains(&wait), "{} {wait}", reply.status);
    }
    assert_eq!(pair.stage.count("SELECT COUNT(*) FROM login_tries").await, 0, "the database did not count");

    // What was wrong before the right password is forgotten, also in the counts of others.
    for _ in 0..4 {
        assert_eq!(guess(&pair.nodes[0], "admin@example.com").await.status, 422);
    }
    pair.nodes[1].admin().await;
    let count = |kind: &str| {
        let keys = pair.redis.cli(&["KEYS", &format!("*:tries:{kind}:*")]);
        keys.lines().map(|key| pair.redis.cli(&["GET", key]).parse::<u32>().unwrap()).sum::<u32>()
    };
    assert_eq!((count("account"), count("client")), (5, 5));
    assert!(!pair.redis.cli(&["KEYS", "*"]).contains("example.com"), "nobody can be read from a key");
}

#[tokio::test]
async fn issue_6_nobody_is_signed_out_with_redis_and_no_sign_out_is_undone() {
    let mut pair = Pair::start().await;
    let [a, b] = &pair.nodes;
    let (stays, leaves) = (sign_in(a).await, sign_in(b).await);
    pair.both_linked(&stays).await;
    pair.linked(&leaves, b).await;

    // Silent to one node, cut off from the other.
    pair.wires[0].silence();
    pair.wires[1].cut();
    assert_eq!(leaves.post(b, "/logout").send().await.status, 204);
    for node in &pair.nodes {
        for _ in 0..10 {
            assert_eq!((status(&stays, node).await, status(&leaves, node).await), (200, 401));
        }
    }
    for i in 0..5 {
        assert_eq!(guess(&pair.nodes[i % 2], "a@example.com").await.status, 422);
    }
    assert_eq!(guess(a, "a@example.com").await.status, 429, "the database counts");

    // Redis still has its old memory of both.
    assert!(pair.has(&leaves));
    pair.wires.iter().for_each(Cut::heal);
    pair.both_linked(&stays).await;
    assert!(pair.has(&leaves));
    for node in &pair.nodes {
        assert_eq!(status(&leaves, node).await, 401);
    }
    let newcomer = sign_in(b).await;
    assert_eq!(status(&newcomer, a).await, 200);

    // It comes back with nothing, when the database is behind for those who used their sessions.
    pair.redis.kill().await;
    assert_eq!(status(&stays, &pair.nodes[0]).await, 200);
    pair.redis.start_again().await;
    pair.both_linked(&stays).await;
    pair.redis.cli(&["FLUSHALL"]);
    pair.set_end(Duration::from_secs(60)).await;
    for node in &pair.nodes {
        assert_eq!((status(&stays, node).await, status(&leaves, node).await), (200, 401));
    }
}

#[tokio::test]
async fn a_session_that_redis_knows_of_outlives_the_end_in_the_database() {
    let pair = Pair::start().await;
    let user = sign_in(&pair.nodes[0]).await;
    pair.linked(&user, &pair.nodes[1]).await;
    let end =
        || pair.stage.count("SELECT COUNT(*) FROM sessions WHERE expires_at > '2100-01-01 00:00:00.000000'");
    pair.stage.sql("UPDATE sessions SET expires_at = '2100-01-02 00:00:00.000000'").await;
    pair.linked(&user, &pair.nodes[0]).await;
    assert_eq!(end().await, 1, "the database is left alone");
    pair.set_end(Duration::from_secs(60)).await;
    assert_eq!(status(&user, &pair.nodes[1]).await, 200);
    let moved =
        (jiff::Timestamp::now() + Duration::from_secs(3_600)).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
    pair.stage.wait_for(&format!("SELECT COUNT(*) FROM sessions WHERE expires_at > '{moved}'")).await;
    // Nothing that Redis says makes a session of what is none.
    pair.stage.sql("DELETE FROM sessions").await;
    assert!(pair.has(&user));
    assert_eq!(status(&user, &pair.nodes[1]).await, 401);
}

#[tokio::test]
async fn an_unused_session_ends_in_time() {
    const LIFETIME: Duration = Duration::from_secs(4);
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    let mut config = with_redis(stage.config(), &redis.url());
    config.session_lifetime = LIFETIME;
    let node = stage.node(config).await;
    let user = sign_in(&node).await;
    eventually("a use in Redis", async || status(&user, &node).await == 200 && redis.cli(&["DBSIZE"]) != "0")
        .await;
    sleep(LIFETIME).await;
    sleep(LIFETIME / 2).await;
    assert_eq!(status(&user, &node).await, 401);

    // Redis has been there for longer than a session stands and knows nothing of this one: it was not used.
    let user = sign_in(&node).await;
    eventually("a use in Redis", async || redis.cli(&["DBSIZE"]) != "0").await;
    redis.cli(&["FLUSHALL"]);
    let end = (jiff::Timestamp::now() - Duration::from_millis(1)).strftime("%Y-%m-%d %H:%M:%S%.6f");
    stage.sql(&format!("UPDATE sessions SET expires_at = '{end}'")).await;
    assert_eq!(status(&user, &node).await, 401);
}

/// The rights are those of the guide: what it tells people is what is tested. Through TLS, as a user with a password.
#[tokio::test]
async fn the_rights_in_redis_that_the_guide_lists_are_enough() {
    let guide = include_str!("../../../../docs/redis.md");
    let rights =
        guide.split("ACL SETUSER attendance on >secret ").nth(1).and_then(|rest| rest.lines().next());
    let (authority, stage) = (Authority::new(), Stage::new().await);
    let redis = Redis::start_guarded(&authority, rights.unwrap()).await;
    let address = RedisAddress::parse_trusting(&redis.url(), &authority.root()).unwrap().patient(8);
    let mut config = stage.config();
    config.redis = Some(RedisConfig { address, prefix: String::new() });
    let node = stage.node(config).await;
    let user = sign_in(&node).await;
    eventually("a use in Redis", async || status(&user, &node).await == 200 && redis.cli(&["DBSIZE"]) != "0")
        .await;
    stage.sql("DELETE FROM login_tries").await;
    for _ in 0..3 {
        assert_eq!(guess(&node, "admin@example.com").await.status, 422);
    }
    for _ in 0..2 {
        assert_eq!(guess(&node, "nobody@example.com").await.status, 422);
    }
    let client = redis.cli(&["KEYS", "gema:{:0:attendance}:tries:client:*"]);
    assert_eq!(redis.cli(&["GET", &client]), "5");
    node.admin().await;
    assert_eq!(redis.cli(&["GET", &client]), "2");
    let end = (jiff::Timestamp::now() - Duration::from_secs(60)).strftime("%Y-%m-%d %H:%M:%S%.6f");
    stage.sql(&format!("UPDATE sessions SET expires_at = '{end}'")).await;
    assert_eq!(status(&user, &node).await, 200);
    assert_eq!(stage.count("SELECT COUNT(*) FROM login_tries").await, 0, "the database counted nothing");
}

#[tokio::test]
async fn without_redis_the_database_alone_says_when_a_session_ends() {
    let Kit { stage, node } = Kit::start().await;
    let user = sign_in(&node).await;
    let end = (jiff::Timestamp::now() - Duration::from_secs(1)).strftime("%Y-%m-%d %H:%M:%S%.6f");
    stage.sql(&format!("UPDATE sessions SET expires_at = '{end}'")).await;
    assert_eq!(status(&user, &node).await, 401);
}
