//! Three nodes whose clients come and go at random, through cuts, deaths and a place that forgets: in the end every node
//! lists exactly who is there, and on the way no client hears of anybody twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gema_cluster::entry::{Event, Origin};
use gema_cluster::node::{Listener, Node};
use gema_cluster::replica::{Change, Replica};
use gema_protocol::channel::ChannelName;
use gema_protocol::presence::Member;
use gema_protocol::roster::Roster;
use gema_tests::{Memory, MemoryEngine};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const ROOMS: [&str; 2] = ["presence-a", "presence-b"];
/// Longer than a lease, and then as long again, until absence means leaving.
const QUIET: Duration = Duration::from_secs(40);

/// What the clients of one node in one channel know: as a channel of the server does it.
#[derive(Default)]
struct Room {
    roster: Roster,
    heard: BTreeSet<String>,
    connections: usize,
    elsewhere: u64,
}

impl Room {
    fn knowing(others: &Replica) -> Self {
        let mut room = Self { elsewhere: others.subscriptions(), ..Self::default() };
        for (user, _) in others.members() {
            room.roster.enter_elsewhere(user, || member(user));
        }
        room.heard = room.roster.user_ids().map(str::to_owned).collect();
        room
    }

    fn follow(&mut self, change: Change) {
        match change {
            Change::Enter(user, _) => {
                if self.roster.enter_elsewhere(&user, || member(&user)).is_some() {
                    assert!(self.heard.insert(user), "added twice");
                }
            }
            Change::Exit(user) => {
                if self.roster.exit_elsewhere(&user).is_some() {
                    assert!(self.heard.remove(&user), "removed, but never there");
                }
            }
        }
    }

    fn join(&mut self, user: &str) {
        self.connections += 1;
        if self.roster.join(&member(user)) {
            assert!(self.heard.insert(user.to_owned()), "added twice");
        }
    }

    fn leave(&mut self, user: &str) {
        self.connections -= 1;
        if self.roster.leave(&member(user).user_id).is_some() {
            assert!(self.heard.remove(user), "removed, but never there");
        }
    }
}

#[derive(Default)]
struct Rooms(Mutex<BTreeMap<ChannelName, Room>>);

impl Listener for Rooms {
    fn deliver(&self, _: &ChannelName, _: Event, _: Option<u64>) {}

    fn keep(&self, _: &ChannelName, _: &str, _: Duration) {}

    fn members(&self, channel: &ChannelName, changes: Vec<Change>) {
        if let Some(room) = self.0.lock().get_mut(channel) {
            changes.into_iter().for_each(|change| room.follow(change));
        }
    }

    fn count(&self, channel: &ChannelName, elsewhere: u64) {
        if let Some(room) = self.0.lock().get_mut(channel) {
            room.elsewhere = elsewhere;
        }
    }

    fn cache_ttl(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn connections(&self) -> u64 {
        0
    }

    fn most_connections(&self) -> Option<u64> {
        None
    }
}

struct Server {
    node: Node,
    engine: Arc<MemoryEngine>,
    rooms: Arc<Rooms>,
}

impl Server {
    fn start(memory: &Memory, origin: u128) -> Arc<Self> {
        let ((engine, notices), rooms) = (memory.join(), Arc::<Rooms>::default());
        let engine = Arc::new(engine);
        let node = Node::start(engine.clone(), notices, rooms.clone(), Origin(origin), 1 << 20);
        Arc::new(Self { node, engine, rooms })
    }

    async fn join(self: Arc<Self>, room: usize, user: String) -> (Arc<Self>, usize, String) {
        let name = channel(ROOMS[room]);
        if let Some(wait) = self.node.enter(&name, Some(&member(&user))) {
            let _ = timeout(Duration::from_millis(250), wait).await;
        }
        self.node.others().with(&name, |others| {
            let mut rooms = self.rooms.0.lock();
            rooms.entry(name.clone()).or_insert_with(|| Room::knowing(others)).join(&user);
        });
        (self, room, user)
    }

    fn leave(&self, room: usize, user: &str) {
        let name = channel(ROOMS[room]);
        let mut rooms = self.rooms.0.lock();
        let left = rooms.get_mut(&name).expect("somebody is there");
        left.leave(user);
        if left.connections == 0 {
            rooms.remove(&name);
        }
        drop(rooms);
        self.node.leave(&name, Some(&member(user).user_id));
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).expect("a legal name")
}

fn member(user: &str) -> Member {
    Member::passed_on(user, &format!(r#"{{"user_id":"{user}"}}"#))
}

#[derive(Debug, Clone)]
enum Step {
    Join(usize, usize, u8),
    Leave(usize),
    Cut(usize),
    Heal(usize),
    Forget,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, 0..2_usize, 0..4_u8).prop_map(|(node, room, user)| Step::Join(node, room, user)),
        6 => (0..100_usize).prop_map(Step::Leave),
        1 => (0..3_usize).prop_map(Step::Cut),
        1 => (0..3_usize).prop_map(Step::Heal),
        1 => Just(Step::Forget),
        3 => prop_oneof![0..20_u64, 0..2_000_u64, 0..30_000_u64].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

async fn live_through(steps: Vec<Step>) {
    let memory = Memory::default();
    let servers = [1, 2, 3].map(|origin| Server::start(&memory, origin));
    let (mut joining, mut inside, mut cut) = (JoinSet::new(), Vec::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Join(node, room, user) => {
                joining.spawn(servers[node].clone().join(room, format!("u{user}")));
            }
            Step::Leave(index) if !inside.is_empty() => {
                let (server, room, user): (Arc<Server>, usize, String) =
                    inside.swap_remove(index % inside.len());
                server.leave(room, &user);
            }
            Step::Leave(_) => {}
            Step::Cut(node) if cut.insert(node) => servers[node].engine.set_link(false),
            Step::Heal(node) if cut.remove(&node) => servers[node].engine.set_link(true),
            Step::Cut(_) | Step::Heal(_) => {}
            Step::Forget => {
                memory.restart();
                cut.clear();
            }
            Step::Wait(ms) => sleep(Duration::from_millis(ms)).await,
        }
        while let Some(joined) = joining.try_join_next() {
            inside.push(joined.expect("a join does not fail"));
        }
    }
    cut.into_iter().for_each(|node| servers[node].engine.set_link(true));
    inside.extend(joining.join_all().await);
    sleep(QUIET).await;
    for server in &servers {
        agree(server, &inside);
    }
}

/// What the node's clients know is what is so.
fn agree(server: &Server, inside: &[(Arc<Server>, usize, String)]) {
    for (name, room) in server.rooms.0.lock().iter() {
        let here = || inside.iter().filter(|(_, room, _)| ROOMS[*room] == &**name);
        let users: BTreeSet<String> = here().map(|(_, _, user)| user.clone()).collect();
        assert_eq!(room.roster.user_ids().map(str::to_owned).collect::<BTreeSet<_>>(), users);
        assert_eq!(room.heard, users);
        assert_eq!(room.connections as u64 + room.elsewhere, here().count() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_node_lists_exactly_who_is_there(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(live_through(steps));
    }
}
