//! A Redis that dies and is replaced, by a replica or by itself with old memory: what is published meanwhile arrives in
//! order, once.

use std::collections::HashMap;

use gema_broadcast::Address;
use gema_cluster::name::Namespace;
use gema_protocol::channel::ChannelName;
use gema_protocol::signature::sign_channel;
use gema_tests::{Authority, Client, PATIENCE, Redis, RedisCluster, Sentinels};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::contract::holds;
use crate::kinds::documented_rights;
use crate::servers::{Node, stop};

/// Some of them lie on every shard.
pub(crate) const CHANNELS: [&str; 8] =
    ["private-0", "private-1", "private-2", "private-3", "private-4", "private-5", "private-6", "private-7"];

/// Two servers, a client of the second in every channel, and how many events each channel has had of each server.
pub(crate) struct Scene {
    pub(crate) a: Node,
    pub(crate) b: Node,
    client: Client,
    told: usize,
}

impl Scene {
    pub(crate) async fn begin(redis: &Address) -> Self {
        let (a, b) = (Node::start_at(redis.clone()), Node::start_at(redis.clone()));
        let mut client = b.client().await;
        for channel in CHANNELS {
            let auth = sign_channel(&b.app, &client.socket_id, channel, None);
            client.subscribe(channel, &auth).await;
        }
        let this = Self { a, b, client, told: 0 };
        this.settle().await;
        this
    }

    /// So many events from the first server to each channel.
    pub(crate) async fn tell(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for channel in CHANNELS {
                self.a.api().publish(channel, "e", &self.told.to_string()).await;
            }
            self.told += 1;
        }
    }

    /// Ends when everything told so far is in Redis.
    pub(crate) async fn settle(&self) {
        for channel in CHANNELS {
            self.a.publish_confirmed(channel, "mark", "").await;
        }
    }

    /// Tells on until Redis takes events of every channel again.
    pub(crate) async fn tell_through(&mut self) -> Duration {
        let start = Instant::now();
        let healed = async {
            for channel in CHANNELS {
                self.a.publish_confirmed(channel, "mark", "").await;
            }
        };
        tokio::pin!(healed);
        loop {
            tokio::select! {
                healed = timeout(PATIENCE * 2, &mut healed) => break healed.expect("healed in time"),
                () = sleep(Duration::from_millis(50)) => {
                    for channel in CHANNELS {
                        self.a.api().publish(channel, "e", &self.told.to_string()).await;
                    }
                    self.told += 1;
                }
            }
        }
        start.elapsed()
    }

    /// The client has had all of it.
    pub(crate) async fn end(mut self) {
        self.tell(3).await;
        let mut next: HashMap<String, usize> = HashMap::new();
        while next.values().sum::<usize>() < self.told * CHANNELS.len() {
            let frame = self.client.frame().await;
            if frame.event == "e" {
                let next = next.entry(frame.channel.clone()).or_default();
                assert_eq!(frame.data, next.to_string(), "{}", frame.channel);
                *next += 1;
            }
        }
        drop(self.client);
        stop(self.a, self.b).await;
    }
}

/// The key by which a channel is looked for.
pub(crate) fn key(channel: &str) -> String {
    let channel = ChannelName::parse(channel, 200).expect("a legal name");
    Namespace::new("", "reverb", 0, "1").last_event(&channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_the_contract_and_no_failover_loses_an_event() {
    let mut cluster = RedisCluster::start().await;
    let address = Address::parse(&cluster.url()).expect("an address");
    holds(&address).await;
    let mut scene = Scene::begin(&address).await;
    scene.tell(3).await;
    let (_, replica) = cluster.of_key(&key(CHANNELS[0]));
    assert_eq!(cluster.servers[replica].cli(&["CLUSTER", "FAILOVER"]), "OK");
    scene.tell_through().await;
    let (primary, _) = cluster.of_key(&key(CHANNELS[1]));
    cluster.servers[primary].kill().await;
    println!("events were taken again after {:?}", scene.tell_through().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lacks_the_end_makes_no_event_come_twice_or_never() {
    let mut cluster = RedisCluster::start().await;
    let mut scene = Scene::begin(&Address::parse(&cluster.url()).expect("an address")).await;
    scene.tell(10).await;
    scene.settle().await;
    let (primary, replica) = cluster.of_key(&key(CHANNELS[0]));
    cluster.servers[replica].freeze();
    cluster.servers[primary].cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    scene.tell(10).await;
    scene.settle().await;
    cluster.servers[primary].kill().await;
    cluster.servers[replica].thaw();
    scene.tell_through().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_keep_the_contract_and_their_choice_is_followed() {
    let mut sentinels = Sentinels::start().await;
    let address = Address::parse(&sentinels.url()).expect("an address");
    holds(&address).await;
    let mut scene = Scene::begin(&address).await;
    scene.tell(10).await;
    sentinels.primary.kill().await;
    println!("events were taken again after {:?}", scene.tell_through().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_old_memory_is_told_what_it_forgot() {
    let mut redis = Redis::start().await;
    let mut scene = Scene::begin(&Address::parse(&redis.url()).expect("an address")).await;
    scene.tell(10).await;
    scene.settle().await;
    assert_eq!(redis.cli(&["SAVE"]), "OK");
    scene.tell(10).await;
    scene.settle().await;
    redis.kill().await;
    scene.tell(5).await;
    redis.start_again().await;
    scene.tell_through().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_is_followed_with_the_documented_rights() {
    let authority = Authority::new();
    let rights = format!("{} +cluster|slots", documented_rights());
    let cluster = RedisCluster::start_guarded(&authority, &rights).await;
    let address = Address::parse_trusting(&cluster.url(), &authority.root()).expect("an address");
    let mut scene = Scene::begin(&address).await;
    scene.tell(3).await;
    let (_, replica) = cluster.of_key(&key(CHANNELS[0]));
    assert_eq!(cluster.servers[replica].cli(&["CLUSTER", "FAILOVER"]), "OK");
    scene.tell_through().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_followed_over_tls_with_the_documented_rights() {
    let authority = Authority::new();
    let rights = format!("{} +role", documented_rights());
    let mut sentinels = Sentinels::start_guarded(&authority, &rights).await;
    let address = Address::parse_trusting(&sentinels.url(), &authority.root()).expect("an address");
    let mut scene = Scene::begin(&address).await;
    scene.tell(10).await;
    sentinels.primary.kill().await;
    scene.tell_through().await;
    scene.end().await;
}
