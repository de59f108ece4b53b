//! Two servers over one memory with a back end that often fails: what happens anyhow is told once, in order, to the end. The
//! clock stands still unless everybody waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gema_cluster::entry::Origin;
use gema_protocol::app::{Credentials, Secret};
use gema_protocol::channel::ChannelName;
use gema_protocol::limits::{Limits, Profile};
use gema_protocol::presence::Member;
use gema_protocol::webhook::Kinds;
use gema_tests::{Memory, MemoryEngine};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::sleep;

use crate::app::Apps;
use crate::cluster::Cluster;
use crate::config::{AppConfig, ClusterConfig};
use crate::webhooks::post::Request;
use crate::webhooks::*;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Takes two of three requests, after a while.
struct Flaky {
    dice: Mutex<Dice>,
    /// Delivery ids and bodies, as they were taken.
    taken: Mutex<Vec<(String, String)>>,
}

impl Post for Flaky {
    async fn post(&self, request: &Request) -> Result<(), String> {
        let (pause, fails) = {
            let mut dice = self.dice.lock();
            (Duration::from_millis(dice.roll(800)), dice.roll(3) == 0)
        };
        sleep(pause).await;
        if fails {
            return Err("it answered 500".to_owned());
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.taken.lock().push((request.delivery.clone(), body));
        Ok(())
    }
}

struct Server {
    apps: Apps,
    engine: Arc<MemoryEngine>,
    _running: Running,
    /// Who is in which channel.
    present: BTreeSet<(u64, u64)>,
}

impl Server {
    fn start(memory: &Memory, post: &Arc<Flaky>, id: u128) -> Self {
        let credentials =
            Credentials { id: "1".into(), key: "k".into(), secret: Secret::new("s".to_owned()) };
        let mut app = AppConfig::new(credentials);
        let filter = Filter { kinds: Kinds::ALL, channel_prefix: String::new() };
        let url = WebhookUrl::parse("http://a/").unwrap();
        app.webhooks = vec![Webhook { url, filter, batching: true }];
        let mut config = Config::new(vec![app]);
        config.cluster = Some(ClusterConfig {
            redis: crate::Address::parse("redis://unused").unwrap(),
            prefix: String::new(),
            scaling_channel: String::new(),
            outgoing_bytes: 1 << 20,
        });
        let apps = Apps::new(&config).unwrap();
        let (engine, notices) = memory.join();
        let engine = Arc::new(engine);
        Cluster::join(apps.by_id("1").unwrap(), engine.clone(), notices, Origin(id), 1 << 20);
        let running = Running::start(apps.all(), &config, Some(post));
        Self { apps, engine, _running: running, present: BTreeSet::new() }
    }

    /// The user comes to the channel, or leaves it.
    fn toggle(&mut self, channel: u64, user: u64) {
        let cluster = &self.apps.by_id("1").unwrap().cluster;
        let name = ChannelName::parse(&format!("presence-{channel}"), 200).unwrap();
        let limits = Limits::of(Profile::Reverb);
        let member = Member::parse(&format!(r#"{{"user_id":{user}}}"#), &limits).unwrap();
        if self.present.insert((channel, user)) {
            drop(cluster.enter(&name, Some(&member)));
        } else {
            self.present.remove(&(channel, user));
            cluster.leave(&name, Some(&member.user_id));
        }
    }

    fn everybody_leaves(&mut self) {
        for (channel, user) in self.present.clone() {
            self.toggle(channel, user);
        }
    }
}

/// Comings and goings of three users in two channels, with links that break for a moment.
async fn bustle(servers: &mut [Server], dice: &mut Dice) {
    for _ in 0..60 {
        let index = usize::try_from(dice.roll(servers.len() as u64)).unwrap();
        match dice.roll(12) {
            0 => {
                servers[index].engine.set_link(false);
                sleep(Duration::from_millis(dice.roll(4_000))).await;
                servers[index].engine.set_link(true);
            }
            _ => servers[index].toggle(dice.roll(2), dice.roll(3)),
        }
        sleep(Duration::from_millis(dice.roll(4_000))).await;
    }
}

/// Each request's events, in the order in which requests were taken first; how often any came again.
fn told(post: &Flaky) -> (Vec<Value>, usize) {
    let (mut known, mut events, mut repeats) = (HashMap::new(), Vec::new(), 0);
    for (delivery, body) in post.taken.lock().iter() {
        match known.insert(delivery.clone(), body.clone()) {
            None => {
                let body: Value = serde_json::from_str(body).unwrap();
                events.extend(body["events"].as_array().unwrap().iter().cloned());
            }
            Some(before) => {
                assert_eq!(&before, body, "a repeat is the same");
                repeats += 1;
            }
        }
    }
    (events, repeats)
}

/// Comings and goings take turns, and everybody has gone in the end.
fn check(events: &[Value], seed: u64) {
    let mut is_in = BTreeMap::new();
    for event in events {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let comes = match &*text("name") {
            "channel_occupied" | "member_added" => true,
            "channel_vacated" | "member_removed" => false,
            other => panic!("{other} was not expected"),
        };
        let before = is_in.insert((text("channel"), text("user_id")), comes).unwrap_or(false);
        assert_ne!(before, comes, "seed {seed}: {event} is no news, of {events:#?}");
    }
    assert!(!is_in.is_empty() && is_in.values().all(|is_in| !is_in), "seed {seed}: {is_in:?}");
}

fn start(seed: u64) -> (Memory, Arc<Flaky>, Vec<Server>, Dice) {
    let (memory, dice) = (Memory::default(), Mutex::new(Dice(seed)));
    let post = Arc::new(Flaky { dice, taken: Mutex::default() });
    let servers = vec![Server::start(&memory, &post, 1), Server::start(&memory, &post, 2)];
    (memory, post, servers, Dice(seed + 1_000))
}

#[tokio::test(start_paused = true)]
async fn without_a_crash_everything_is_told_once() {
    for seed in 0..3 {
        let (_memory, post, mut servers, mut dice) = start(seed);
        bustle(&mut servers, &mut dice).await;
        servers.iter_mut().for_each(Server::everybody_leaves);
        sleep(Duration::from_secs(120)).await;
        let (events, repeats) = told(&post);
        check(&events, seed);
        assert_eq!(repeats, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_is_followed_by_another() {
    for seed in 0..3 {
        let (memory, post, mut servers, mut dice) = start(seed);
        bustle(&mut servers, &mut dice).await;
        drop(servers.remove(0));
        servers.push(Server::start(&memory, &post, 3));
        bustle(&mut servers, &mut dice).await;
        servers.iter_mut().for_each(Server::everybody_leaves);
        sleep(Duration::from_secs(120)).await;
        check(&told(&post).0, seed);
    }
}
