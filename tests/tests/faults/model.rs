//! Three nodes against one model: clients join, leave and publish at random places while wires break and heal, and in the
//! end each has what it would have got from one server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gema_tests::{Client, Cut, Frame, Gema, Heard, Redis, Setup, figure};
use serde_json::json;

use crate::stage::{linked, long};

const CHANNELS: usize = 4;
const CLIENTS: usize = 6;
/// Who comes so much later than an event was published does not get it.
const TOO_LATE: Duration = Duration::from_secs(2);

/// Numbers that look random and are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("below sides")
    }
}

/// An event that was published: its place in this list is its name.
struct Event {
    channel: usize,
    node: usize,
    at: Instant,
}

/// A client's time in a channel.
struct Stay {
    joined: Instant,
    /// What was published meanwhile.
    due: Vec<usize>,
    heard: Vec<usize>,
}

struct Pupil {
    client: Client,
    stays: BTreeMap<usize, Stay>,
}

impl Pupil {
    /// Reads until this frame has come.
    async fn read_until(&mut self, is_it: impl Fn(&Frame) -> bool) {
        loop {
            match self.client.hear().await {
                Heard::Frame(frame) if frame.event == "e" => self.keep(&frame),
                Heard::Frame(frame) if is_it(&frame) => return,
                Heard::Frame(_) | Heard::Ping(_) | Heard::Pong(_) => {}
                ended => panic!("a client was sent away: {ended:?}"),
            }
        }
    }

    fn keep(&mut self, frame: &Frame) {
        let channel = frame.channel.trim_start_matches("room-").parse().expect("a number");
        let event = frame.data.as_str().expect("text").parse().expect("a number");
        let stay = self.stays.get_mut(&channel).expect("an event of a channel that the client is in");
        stay.heard.push(event);
    }

    async fn join(&mut self, channel: usize) {
        // What comes before the confirmation would fail the test: nothing is kept for a channel yet.
        self.client.ask_subscribe(&room(channel), "").await;
        self.read_until(|frame| frame.event == "pusher_internal:subscription_succeeded").await;
        let stay = Stay { joined: Instant::now(), due: Vec::new(), heard: Vec::new() };
        self.stays.insert(channel, stay);
    }

    /// Leaves, and is held against the model; what is on its way from another node may be missing.
    async fn leave(&mut self, channel: usize, events: &[Event]) {
        self.client.send("pusher:unsubscribe", json!({"channel": room(channel)}), None).await;
        self.client.send("pusher:ping", json!({}), None).await;
        self.read_until(|frame| frame.event == "pusher:pong").await;
        self.stays.remove(&channel).expect("it was in").is_sound(events);
    }

    /// Reads until everything has come that is due.
    async fn catch_up(&mut self, events: &[Event]) {
        while self.stays.values().any(|stay| stay.due.iter().any(|event| !stay.heard.contains(event))) {
            match self.client.hear().await {
                Heard::Frame(frame) if frame.event == "e" => self.keep(&frame),
                Heard::Frame(_) | Heard::Ping(_) | Heard::Pong(_) => {}
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

fn room(channel: usize) -> String {
    format!("room-{channel}")
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
            pupils.push(Pupil { client, stays: BTreeMap::new() });
        }
        Self { dice: Dice(seed), wires, nodes, pupils, events: Vec::new(), cuts: 0, _redis: redis }
    }

    async fn step(&mut self) {
        let (channel, pupil) = (self.dice.below(CHANNELS), self.dice.below(CLIENTS));
        match self.dice.below(16) {
            0..4 if self.pupils[pupil].stays.contains_key(&channel) => {
                self.pupils[pupil].leave(channel, &self.events).await;
            }
            0..4 => self.pupils[pupil].join(channel).await,
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
        for pupil in &mut self.pupils {
            pupil.catch_up(&self.events).await;
        }
    }
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
        join_all(seeds.iter().map(|seed| three_nodes_are_one(seed * 0x9e37_79b9, steps))).await;
    }
}
