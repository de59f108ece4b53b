//! Three nodes against one model: clients join, leave and publish at random places while wires break and heal, and in the
//! end each has what it would have got from one server, and every node gives the answers that one server would give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_protocol::app::Credentials;
use gema_tests::{Client, Cut, Dice, Frame, Gema, Heard, PATIENCE, Redis, Setup, figure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{linked, long};

/// The first two are public, the others presence channels.
const CHANNELS: usize = 4;
const CLIENTS: usize = 6;
/// Fewer than clients: some are on two nodes.
const USERS: usize = 4;
/// Who comes so much later than an event was published does not get it.
const TOO_LATE: Duration = Duration::from_secs(2);

/// An event that was published: its place in this list is its name.
struct Event {
    channel: usize,
    node: usize,
    at: Instant,
}

/// A client's time in a channel.
struct Stay {
    joined: Instant,
    /// Who is in a presence channel, as the client was told.
    members: BTreeSet<String>,
    /// What was published meanwhile.
    due: Vec<usize>,
    heard: Vec<usize>,
}

struct Pupil {
    user: String,
    client: Client,
    stays: BTreeMap<usize, Stay>,
}

impl Pupil {
    /// Reads until this event has come.
    async fn read_until(&mut self, event: &str) -> Frame {
        loop {
            match self.client.hear().await {
                Heard::Frame(frame) if frame.event == event => return frame,
                Heard::Frame(frame) => self.keep(&frame),
                Heard::Ping(_) | Heard::Pong(_) => {}
                ended => panic!("a client was sent away: {ended:?}"),
            }
        }
    }

    fn keep(&mut self, frame: &Frame) {
        let Some((_, channel)) = frame.channel.rsplit_once('-') else { return };
        let channel = channel.parse().expect("a number");
        let stay = self.stays.get_mut(&channel).expect("something of a channel that the client is in");
        let user = || frame.inner()["user_id"].as_str().expect("a user").to_owned();
        match &*frame.event {
            "e" => stay.heard.push(frame.data.as_str().expect("text").parse().expect("a number")),
            "pusher_internal:member_added" => assert!(stay.members.insert(user()), "{} came twice", user()),
            "pusher_internal:member_removed" => {
                assert!(stay.members.remove(&user()), "{} went twice", user())
            }
            other => panic!("{other} is none of this test's events"),
        }
    }

    async fn join(&mut self, app: &Credentials, channel: usize) {
        // What comes before the confirmation fails the test: nothing is kept for a channel yet.
        let data = json!({"user_id": self.user}).to_string();
        self.client.ask_signed(app, &room(channel), is_presence(channel).then_some(&*data)).await;
        let frame = self.read_until("pusher_internal:subscription_succeeded").await;
        let members = names(&frame.inner()["presence"]["ids"]);
        let stay = Stay { joined: Instant::now(), members, due: Vec::new(), heard: Vec::new() };
        self.stays.insert(channel, stay);
    }

    /// Leaves, and is held against the model; what is on its way from another node may be missing.
    async fn leave(&mut self, channel: usize, events: &[Event]) {
        self.client.send("pusher:unsubscribe", json!({"channel": room(channel)}), None).await;
        self.client.send("pusher:ping", json!({}), None).await;
        self.read_until("pusher:pong").await;
        self.stays.remove(&channel).expect("it was in").is_sound(events);
    }

    /// Reads until everything has come that is due, and the client knows who is where.
    async fn catch_up(&mut self, events: &[Event], members: &BTreeMap<usize, BTreeSet<String>>) {
        let behind = |(channel, stay): (&usize, &Stay)| {
            stay.due.iter().any(|event| !stay.heard.contains(event)) || stay.members != members[channel]
        };
        while self.stays.iter().any(behind) {
            match self.client.hear().await {
                Heard::Frame(frame) => self.keep(&frame),
                Heard::Ping(_) | Heard::Pong(_) => {}
                ended => panic!("a client was sent away: {ended:?}"),
            }
        }
        self.stays.values().for_each(|stay| stay.is_sound(events));
    }
}

impl Stay {
    /// Nothing twice, nothing out of order, nothing of before.
    fn is_sound(&self, events: &[Event]) {
        let mut newest = BTreeMap::new();
        for name in &self.heard {
            let event = &events[*name];
            let before = newest.insert(event.node, *name);
            assert!(
                before.is_none_or(|before| before < *name),
                "{name} came after {before:?}: {:?}",
                self.heard
            );
            assert!(event.at + TOO_LATE > self.joined, "{name} was published before its subscriber came");
        }
    }
}

fn is_presence(channel: usize) -> bool {
    channel >= 2
}

fn room(channel: usize) -> String {
    if is_presence(channel) { format!("presence-{channel}") } else { format!("room-{channel}") }
}

/// The texts of a list; none if it is no list.
fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().expect("text").to_owned()).collect()
}

/// The world: three nodes and who is connected where.
struct World {
    dice: Dice,
    wires: Vec<Cut>,
    nodes: Vec<Gema>,
    pupils: Vec<Pupil>,
    events: Vec<Event>,
    cuts: usize,
    _redis: Redis,
}

impl World {
    async fn new(seed: u64) -> Self {
        let redis = Redis::start().await;
        let wires: Vec<Cut> = (0..3).map(|_| Cut::before(&redis)).collect();
        let nodes = join_all(wires.iter().map(|wire| Setup::broadcast().node(&wire.url()).start())).await;
        join_all(nodes.iter().map(linked)).await;
        let mut pupils = Vec::new();
        for number in 0..CLIENTS {
            let client = nodes[number % nodes.len()].client().await;
            let user = format!("user-{}", number % USERS);
            pupils.push(Pupil { user, client, stays: BTreeMap::new() });
        }
        Self { dice: Dice::new(seed), wires, nodes, pupils, events: Vec::new(), cuts: 0, _redis: redis }
    }

    async fn step(&mut self) {
        let (channel, pupil) = (self.dice.below(CHANNELS), self.dice.below(CLIENTS));
        match self.dice.below(16) {
            0..4 if self.pupils[pupil].stays.contains_key(&channel) => {
                self.pupils[pupil].leave(channel, &self.events).await;
            }
            0..4 => self.pupils[pupil].join(&self.nodes[0].app, channel).await,
            4 => {
                let wire = self.dice.below(self.wires.len());
                self.wires[wire].cut();
                self.cuts += 1;
            }
            5 | 6 => {
                let wire = self.dice.below(self.wires.len());
                self.wires[wire].heal();
            }
            _ => self.publish(channel).await,
        }
    }

    async fn publish(&mut self, channel: usize) {
        let (node, name) = (self.dice.below(self.nodes.len()), self.events.len());
        self.events.push(Event { channel, node, at: Instant::now() });
        self.nodes[node].api().publish(&room(channel), "e", &name.to_string()).await;
        for pupil in &mut self.pupils {
            if let Some(stay) = pupil.stays.get_mut(&self.events[name].channel) {
                stay.due.push(name);
            }
        }
    }

    async fn quiescence(&mut self) {
        self.wires.iter().for_each(Cut::heal);
        join_all(self.nodes.iter().map(linked)).await;
        let members = (0..CHANNELS).map(|channel| (channel, self.members(channel))).collect();
        for pupil in &mut self.pupils {
            pupil.catch_up(&self.events, &members).await;
        }
        join_all(self.nodes.iter().map(|node| self.answers(node))).await;
    }

    /// Who is in a presence channel.
    fn members(&self, channel: usize) -> BTreeSet<String> {
        let inside = self.pupils.iter().filter(|pupil| pupil.stays.contains_key(&channel));
        inside.filter(|_| is_presence(channel)).map(|pupil| pupil.user.clone()).collect()
    }

    /// Waits until a node answers every question as the model does.
    async fn answers(&self, node: &Gema) {
        let expected = self.expected();
        let start = Instant::now();
        loop {
            let answers = asked(node).await;
            if answers == expected {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{answers}, not {expected}:\n{}", node.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What every node has to say.
    fn expected(&self) -> Value {
        let mut all = json!({"public": {}, "presence": {}, "users": {}, "connections": CLIENTS});
        for channel in 0..CHANNELS {
            let count = self.pupils.iter().filter(|pupil| pupil.stays.contains_key(&channel)).count();
            let members = self.members(channel);
            if is_presence(channel) {
                all["users"][room(channel)] = json!(members);
            }
            match count {
                0 => {}
                _ if is_presence(channel) => {
                    all["presence"][room(channel)] = json!({"user_count": members.len()})
                }
                _ => all["public"][room(channel)] = json!({"subscription_count": count}),
            }
        }
        all
    }
}

/// What a node says of its channels, users and connections.
async fn asked(node: &Gema) -> Value {
    let api = node.api();
    let list = |prefix: &'static str, info: &'static str| {
        let api = api.clone();
        async move {
            let params = [("filter_by_prefix", prefix), ("info", info)];
            api.get("/channels", &params).await.ok()["channels"].clone()
        }
    };
    let mut all = json!({
        "public": list("room-", "subscription_count").await,
        "presence": list("presence-", "user_count").await,
        "users": {},
        "connections": api.get("/connections", &[]).await.ok()["connections"],
    });
    for channel in (0..CHANNELS).filter(|channel| is_presence(*channel)) {
        let answer = api.get(&format!("/channels/{}/users", room(channel)), &[]).await.ok();
        let users = answer["users"].as_array().into_iter().flatten().map(|user| user["id"].clone());
        let mut users: Vec<Value> = users.collect();
        users.sort_by_key(ToString::to_string);
        all["users"][room(channel)] = Value::Array(users);
    }
    all
}

async fn three_nodes_are_one(seed: u64, steps: usize) {
    let mut world = World::new(seed).await;
    for _ in 0..steps {
        world.step().await;
    }
    world.quiescence().await;
    let stays: usize = world.pupils.iter().map(|pupil| pupil.stays.len()).sum();
    figure(&format!(
        "three nodes against a model, seed {seed}: {steps} steps, {} events, {} cuts, {stays} subscriptions in the end, 0 lost, 0 duplicated, 0 reordered",
        world.events.len(),
        world.cuts
    ));
    for node in &mut world.nodes {
        assert!(node.is_alive() && !node.log().contains("lost: "), "{}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_three_nodes_end_as_one() {
    let (seeds, steps) = if long() { (1..9, 3_000) } else { (1..3, 300) };
    for seeds in seeds.collect::<Vec<u64>>().chunks(2) {
        join_all(seeds.iter().map(|seed| three_nodes_are_one(*seed, steps))).await;
    }
}
