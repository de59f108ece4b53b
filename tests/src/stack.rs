//! Everything at once, as the compose file has it: nginx before three attendance nodes and two broadcast nodes, two
//! workers, one MariaDB and one Redis. Names are those of its services: `app_1`, `reverb_1`, `queue_1`.
//!
//! Wired, each way between two of them leads over a [`Cut`]. The tests are in `tests/stack`; tests for Node and for the
//! browser have it from `examples/stack.rs`.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::future::join_all;
use tokio::net::TcpSocket;
use tokio::task::spawn_blocking;

use crate::{Cut, Gema, MariaDb, Nginx, Redis, Setup};

/// How many of each there are.
const APPS: usize = 3;
const REVERBS: usize = 2;
const QUEUES: usize = 2;

/// The built pages.
const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dashboard/dist");

/// How a stack is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// `QUEUE_CONNECTION`.
    pub queue: &'static str,
    /// Whether its ways can be cut.
    pub wired: bool,
}

/// A running stack; ended with the test.
#[derive(Debug)]
pub struct Stack {
    /// The one address for pages, API and sockets.
    pub nginx: Nginx,
    /// The attendance nodes, `NODE_ID` 1 to 3.
    pub apps: Vec<Gema>,
    /// The broadcast nodes.
    pub reverbs: Vec<Gema>,
    /// The workers.
    pub queues: Vec<Gema>,
    /// What all of them share.
    pub redis: Redis,
    /// What the attendance nodes and the workers share.
    pub mysql: MariaDb,
    /// The name of its database.
    pub database: String,
    /// Where it is wired: `from-to` and the wire.
    pub wires: Vec<(String, Cut)>,
}

impl Stack {
    /// Starts everything and waits until all of it serves.
    pub async fn start(plan: Plan) -> Self {
        let own = spawn_blocking(|| {
            let mysql = MariaDb::start(&[]);
            let database = mysql.fresh();
            (mysql, database)
        });
        let (own, redis) = tokio::join!(own, Redis::start());
        let (mysql, database) = own.expect("MariaDB starts");
        let mut ways = Ways { wired: plan.wired, wires: Vec::new() };

        let link = |number: usize, ways: &mut Ways| ways.to("reverb", number, "redis", redis.at());
        let reverbs: Vec<_> = (1..=REVERBS).map(|number| link(number, &mut ways)).collect();
        let node = |redis: SocketAddr| Setup::broadcast().node(&format!("redis://{redis}")).start();
        let reverbs = join_all(reverbs.into_iter().map(node)).await;
        // Browsers are told where nginx is, so it comes first; by then the nodes' ports have to be known.
        let kept: Vec<_> = (0..APPS).map(|_| kept()).collect();
        let ports: Vec<_> = kept.iter().map(|socket| socket.local_addr().expect("a bound socket")).collect();
        let nginx = {
            let mut before = |name: &str, at: &[SocketAddr]| -> Vec<_> {
                let numbered = (1..).zip(at);
                numbered.map(|(number, at)| ways.wire(&format!("nginx-{name}_{number}"), *at)).collect()
            };
            let sockets: Vec<_> = reverbs.iter().map(|node| node.broadcast).collect();
            Nginx::start(&before("reverb", &sockets), &before("app", &ports)).await
        };
        let mut office =
            Office { plan, nginx: nginx.at, redis: redis.at(), mysql: mysql.port(), database, ways };
        let apps: Vec<_> = (1..=APPS).zip(ports).map(|(number, at)| office.app(number, at)).collect();
        let queues: Vec<_> = (1..=QUEUES).map(|number| office.queue(number)).collect();
        let starting = |setups: Vec<Setup>| join_all(setups.into_iter().map(Setup::start));
        let (apps, queues) = tokio::join!(starting(apps), starting(queues));
        drop(kept);
        let Office { database, ways: Ways { wires, .. }, .. } = office;
        Self { nginx, apps, reverbs, queues, redis, mysql, database, wires }
    }

    /// The names of all processes of ours.
    #[must_use]
    pub fn names() -> Vec<String> {
        let named =
            |kind: &'static str, count: usize| (1..=count).map(move |number| format!("{kind}_{number}"));
        named("app", APPS).chain(named("reverb", REVERBS)).chain(named("queue", QUEUES)).collect()
    }

    /// The process of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn process(&mut self, name: &str) -> &mut Gema {
        let (kind, number) = name.split_once('_').expect("a kind and a number");
        let all = match kind {
            "app" => &mut self.apps,
            "reverb" => &mut self.reverbs,
            "queue" => &mut self.queues,
            _ => panic!("{name} is no process of the stack"),
        };
        let number: usize = number.parse().expect("a number");
        &mut all[number - 1]
    }

    /// The wire of this name.
    #[must_use]
    pub fn wire(&self, name: &str) -> Option<&Cut> {
        self.wires.iter().find(|(own, _)| own == name).map(|(_, wire)| wire)
    }

    /// Statements at its database.
    pub fn sql(&self, statements: &str) -> String {
        self.mysql.sql(&format!("USE {}; {statements}", self.database))
    }
}

/// The ways so far.
struct Ways {
    wired: bool,
    wires: Vec<(String, Cut)>,
}

impl Ways {
    /// Where to go in order to get there.
    fn wire(&mut self, name: &str, end: SocketAddr) -> SocketAddr {
        if !self.wired {
            return end;
        }
        let wire = Cut::to(end);
        let at = wire.at();
        self.wires.push((name.to_owned(), wire));
        at
    }

    fn to(&mut self, kind: &str, number: usize, other: &str, end: SocketAddr) -> SocketAddr {
        self.wire(&format!("{kind}_{number}-{other}"), end)
    }
}

/// What attendance nodes and workers have to be told.
struct Office {
    plan: Plan,
    nginx: SocketAddr,
    redis: SocketAddr,
    mysql: u16,
    database: String,
    ways: Ways,
}

impl Office {
    fn app(&mut self, number: usize, at: SocketAddr) -> Setup {
        let setup = self.shared(Setup::attendance(), "app", number);
        let setup = setup.env("NODE_ID", &number.to_string()).env("APP_PORT", &at.port().to_string());
        let setup = setup.env("ATTENDANCE_DASHBOARD_DIR", PAGES);
        // One makes the admin; the others find whatever there is by then.
        if number == 1 { setup.seeded() } else { setup }
    }

    fn queue(&mut self, number: usize) -> Setup {
        let nginx = self.ways.to("queue", number, "nginx", self.nginx);
        self.shared(Setup::worker(), "queue", number).env("REVERB_PUBLISH_URL", &format!("http://{nginx}"))
    }

    fn shared(&mut self, setup: Setup, kind: &str, number: usize) -> Setup {
        let mysql = self.ways.to(kind, number, "mysql", SocketAddr::from(([127, 0, 0, 1], self.mysql)));
        let redis = self.ways.to(kind, number, "redis", self.redis);
        setup
            .env("DB_CONNECTION", "mysql")
            .env("DB_PORT", &mysql.port().to_string())
            .env("DB_DATABASE", &self.database)
            .env("QUEUE_CONNECTION", self.plan.queue)
            .env("APP_URL", &format!("http://{}", self.nginx))
            .env("REVERB_HOST", "127.0.0.1")
            .env("REVERB_PORT", &self.nginx.port().to_string())
            .env("REVERB_SCHEME", "http")
            .env("TRUSTED_PROXIES", "127.0.0.1")
            .env("REDIS_URL", &format!("redis://{redis}"))
    }
}

/// A socket that keeps a free port until its server listens: to that it is no hindrance, to everybody else it is.
fn kept() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a TCP socket");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    socket
}
