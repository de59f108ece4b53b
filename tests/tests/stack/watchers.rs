//! Echo clients in a process of Node (`tests/node/watchers.mjs`), and what they tell.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gema_tests::{Gema, Stack};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::people::Person;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/watchers.mjs");
const LIBRARIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node_modules/laravel-echo");
/// How long it may take until all is as it should be.
const PATIENCE: Duration = Duration::from_secs(180);

/// The process.
pub(crate) struct Watchers {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// Where they connect to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) web: SocketAddr,
    pub(crate) sockets: SocketAddr,
    pub(crate) key: &'a str,
}

/// What one of them tells.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) is_connected: bool,
    /// Whether its list is younger than its last subscription.
    pub(crate) is_fresh: bool,
    pub(crate) connections: u64,
    pub(crate) fetches: u64,
    /// When each channel that is subscribed was, in milliseconds since 1970.
    pub(crate) since: BTreeMap<String, f64>,
    /// Empty if only the list was asked for.
    pub(crate) heard: Vec<Heard>,
    /// Version and check-out of each record.
    pub(crate) list: BTreeMap<i64, (u64, Option<String>)>,
}

/// An event that came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) channel: String,
    pub(crate) event: String,
    pub(crate) attendance: i64,
    pub(crate) version: u64,
    pub(crate) at: f64,
}

impl Watchers {
    /// Starts those who watch these channels.
    pub(crate) async fn start(at: Place<'_>, watchers: &[(&str, &Person, &[String])]) -> Self {
        assert!(
            std::path::Path::new(LIBRARIES).exists(),
            "{LIBRARIES} is missing: run `npm ci` in tests, or `make test`"
        );
        let mut process = Command::new("node")
            .arg(PROGRAM)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut started = Self { _process: process, input, output };
        let person = |(name, person, channels): &(&str, &Person, &[String])| json!({"name": name, "token": person.token, "channels": channels});
        let watchers: Vec<_> = watchers.iter().map(person).collect();
        let Place { web, sockets, key } = at;
        let web = format!("http://{web}");
        let setup = json!({"web": web, "port": sockets.port(), "key": key, "watchers": watchers});
        started.say(&setup.to_string()).await;
        started
    }

    async fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("node reads");
    }

    /// What they tell now.
    pub(crate) async fn look(&mut self, with_events: bool) -> Vec<Told> {
        self.say(if with_events { "all" } else { "lists" }).await;
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("node answers");
        let line = line.expect("node writes").expect("node lives");
        let told: Vec<Value> = serde_json::from_str(&line).expect("a list");
        told.iter().map(Told::read).collect()
    }

    /// Waits until they are as they should be; what they tell then, with all events.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&Told) -> Result<(), String>,
    ) -> Vec<Told> {
        let start = Instant::now();
        loop {
            let problem = self
                .look(false)
                .await
                .iter()
                .find_map(|told| is_so(told).err().map(|problem| format!("{}: {problem}", told.name)));
            let Some(problem) = problem else { return self.look(true).await };
            assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}: {problem}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl<'a> Place<'a> {
    pub(crate) fn of_stack(stack: &'a Stack) -> Self {
        Self { web: stack.nginx.at, sockets: stack.nginx.at, key: &stack.apps[0].app.key }
    }

    pub(crate) fn of(gema: &'a Gema) -> Self {
        Self { web: gema.web, sockets: gema.broadcast, key: &gema.app.key }
    }
}

impl Told {
    /// Whether it is connected, subscribed, and has fetched its list since.
    pub(crate) fn is_settled(&self) -> Result<(), String> {
        if self.is_connected && self.is_fresh && !self.since.is_empty() {
            return Ok(());
        }
        Err(format!(
            "connected: {}, list fetched: {}, since {:?}",
            self.is_connected, self.is_fresh, self.since
        ))
    }

    fn read(told: &Value) -> Self {
        let heard = told["heard"].as_array().into_iter().flatten().map(Heard::read).collect();
        let since = told["since"].as_object().into_iter().flatten();
        let since = since.map(|(channel, at)| (channel.clone(), at.as_f64().expect("a time"))).collect();
        let row = |row: &Value| {
            let id = row[0].as_i64().expect("an id");
            (id, (row[1].as_u64().expect("a version"), row[2].as_str().map(str::to_owned)))
        };
        Self {
            name: told["name"].as_str().expect("a name").to_owned(),
            is_connected: told["state"] == "connected",
            is_fresh: told["fresh"] == true,
            connections: told["connections"].as_u64().expect("a number"),
            fetches: told["fetches"].as_u64().expect("a number"),
            since,
            heard,
            list: told["list"].as_array().into_iter().flatten().map(row).collect(),
        }
    }
}

impl Heard {
    fn read(heard: &Value) -> Self {
        let text = |at: usize| heard[at].as_str().expect("text").to_owned();
        Self {
            channel: text(0),
            event: text(1),
            attendance: heard[2].as_i64().expect("an id"),
            version: heard[3].as_u64().expect("a version"),
            at: heard[4].as_f64().expect("a time"),
        }
    }
}
