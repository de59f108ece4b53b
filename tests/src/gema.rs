//! One running `gema`: its folder, its ports, its log, and its end. Dropping it kills the process (by its own id) and
//! fails the test when the log holds a panic.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_channel;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Duration, sleep};

use crate::{Api, Authority, Certificate, Client, Metrics, PATIENCE, Trust, request};

/// How a process is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    role: &'static str,
    seed: bool,
    env: Vec<(String, String)>,
    files: Vec<(&'static str, String)>,
    prefix: String,
    trust: Option<Trust>,
}

impl Setup {
    /// The broadcast server alone, with one app and no file to read.
    pub fn broadcast() -> Self {
        let (env, files, prefix) = (Vec::new(), Vec::new(), String::new());
        Self { role: "broadcast", seed: false, env, files, prefix, trust: None }
    }

    /// Everything in one process, on a fresh database with the seeded admin.
    pub fn serve() -> Self {
        Self { role: "serve", ..Self::broadcast() }.seeded()
    }

    /// The attendance API alone.
    pub fn attendance() -> Self {
        Self { role: "attendance", ..Self::broadcast() }
    }

    /// A worker alone, which listens nowhere.
    pub fn worker() -> Self {
        Self { role: "worker", ..Self::broadcast() }
    }

    /// Puts the demo admin into the database before it starts.
    #[must_use]
    pub fn seeded(mut self) -> Self {
        self.seed = true;
        self
    }

    /// Sets a variable of the process. Nothing else of the environment reaches it, `PATH` apart.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a file into the working directory of the process.
    #[must_use]
    pub fn file(mut self, name: &'static str, text: &str) -> Self {
        self.files.push((name, text.to_owned()));
        self
    }

    /// Serves everything below a path prefix such as "/ws".
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self.env("REVERB_SERVER_PATH", prefix)
    }

    /// One of several nodes that share channels through the Redis at this URL.
    #[must_use]
    pub fn node(self, redis_url: &str) -> Self {
        self.env("REVERB_SCALING_ENABLED", "true").env("REDIS_URL", redis_url)
    }

    /// Speaks TLS with this certificate; the kit's own clients trust its authority.
    #[must_use]
    pub fn tls(mut self, authority: &Authority, certificate: &Certificate) -> Self {
        self.trust = Some(authority.trust().named(&certificate.host));
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        self.env("GEMA_TLS_CERT", &path(&certificate.cert)).env("GEMA_TLS_KEY", &path(&certificate.key))
    }

    /// Starts the process and waits until it says where it listens. The kernel picks the ports, so nothing can clash.
    pub async fn start(self) -> Gema {
        let mut gema = Gema::spawn(self);
        gema.ready().await;
        gema
    }

    /// Starts a process that must end by itself before it serves anybody: its status, and all it said.
    pub async fn refused(self) -> (ExitStatus, String) {
        let mut gema = Gema::spawn(self);
        (gema.ended().await, gema.log())
    }
}

/// A running process.
#[derive(Debug)]
pub struct Gema {
    child: Child,
    dir: TempDir,
    /// Where the broadcast server listens; the same as `web` if this process has none.
    pub broadcast: SocketAddr,
    /// Where the attendance API listens; the same as `broadcast` if this process has none.
    pub web: SocketAddr,
    /// The app it serves.
    pub app: Credentials,
    setup: Setup,
    /// Where in the log its present life begins.
    born: usize,
    /// Bound and never listening: nobody else gets the ports of a process that is to come back.
    kept: Vec<TcpSocket>,
}

impl Gema {
    fn spawn(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in &setup.files {
            fs::write(dir.path().join(name), text).expect("a file in it");
        }
        let app = Credentials {
            id: "424242".to_owned(),
            key: "testkey0123456789abc".to_owned(),
            secret: Secret::new("testsecret0123456789".to_owned()),
        };
        let mut command = command(&setup, &app, dir.path());
        if setup.seed {
            migrate(&command);
        }
        let child = launch(&mut command, &setup, dir.path());
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { child, dir, broadcast: nowhere, web: nowhere, app, setup, born: 0, kept: Vec::new() }
    }

    /// Starts a process that has ended again, in its folder and on its ports, and does not wait for it.
    pub fn relaunch(&mut self) {
        self.born = self.log().len();
        let mut command = command(&self.setup, &self.app, self.dir.path());
        if self.setup.role != "worker" {
            let port = |at: SocketAddr| at.port().to_string();
            let web = if self.setup.role == "broadcast" { "0".to_owned() } else { port(self.web) };
            command.env("REVERB_SERVER_PORT", port(self.broadcast)).env("APP_PORT", web);
        }
        self.child = launch(&mut command, &self.setup, self.dir.path());
    }

    /// Waits until it has printed its addresses.
    ///
    /// # Panics
    /// When it ends instead, or takes too long.
    pub async fn ready(&mut self) {
        let start = Instant::now();
        loop {
            let log = self.log().split_off(self.born);
            let broadcast = address(&log, "broadcast server on ");
            let web = address(&log, "attendance API on ");
            let (broadcast, web) = match self.setup.role {
                "serve" => (broadcast, web),
                "worker" => (None, None),
                _ => (broadcast.or(web), web.or(broadcast)),
            };
            if let (Some(broadcast), Some(web)) = (broadcast, web) {
                (self.broadcast, self.web) = (broadcast, web);
                self.kept.clear();
                return;
            }
            if self.setup.role == "worker" && log.contains("worker on ") {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("our own child") {
                panic!("gema ended with {status} before it was ready:\n{log}");
            }
            assert!(start.elapsed() < PATIENCE, "gema is not ready after {PATIENCE:?}:\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The signed HTTP API of its app.
    pub fn api(&self) -> Api {
        Api {
            at: self.broadcast,
            prefix: self.setup.prefix.clone(),
            app: self.app.clone(),
            trust: self.setup.trust.clone(),
        }
    }

    /// The target a browser would open, query included.
    pub fn target(&self) -> String {
        format!("{}/app/{}?protocol=7&client=js&version=8.6.0&flash=false", self.setup.prefix, self.app.key)
    }

    /// A connected client that has read `pusher:connection_established`.
    pub async fn client(&self) -> Client {
        let stream = TcpStream::connect(self.broadcast).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        self.client_over(stream).await
    }

    /// As [`Gema::client`], over a socket that the test has made itself.
    pub async fn client_over(&self, stream: TcpStream) -> Client {
        let client = match &self.setup.trust {
            None => Client::over(stream, &self.target(), &[]).await,
            Some(trust) => {
                let stream = trust.shake_hands(stream).await.expect("a certificate that is trusted");
                Client::over(stream, &self.target(), &[]).await
            }
        };
        client.established().await
    }

    /// A connected client that subscribes to one channel, signed if the channel asks for it.
    pub async fn subscriber(&self, channel: &str) -> Client {
        let mut client = self.client().await;
        let auth = self.auth(&client, channel);
        client.subscribe(channel, &auth).await;
        client
    }

    /// As [`Gema::subscriber`], over a proxy that listens there.
    pub async fn subscriber_at(&self, proxy: SocketAddr, channel: &str) -> Client {
        let mut client = Client::open(proxy, &self.target(), &[]).await.established().await;
        let auth = self.auth(&client, channel);
        client.subscribe(channel, &auth).await;
        client
    }

    /// A connected client in one presence channel.
    pub async fn member(&self, channel: &str, channel_data: &str) -> Client {
        let mut client = self.client().await;
        client.join(&self.app, channel, channel_data).await;
        client
    }

    /// A connected client that is signed in and has read the confirmation.
    pub async fn user(&self, user_data: &str) -> Client {
        let mut client = self.client().await;
        client.sign_in(&self.app, user_data).await;
        client
    }

    /// The `auth` of a private channel for this client.
    pub fn auth(&self, client: &Client, channel: &str) -> String {
        sign_channel(&self.app, &client.socket_id, channel, None)
    }

    /// Where it shows metrics. Only if it was started with `GEMA_METRICS_PORT`.
    pub fn metrics_at(&self) -> SocketAddr {
        address(&self.log(), "metrics on ").expect("a server that shows metrics")
    }

    /// Its metrics of this moment.
    pub async fn metrics(&self) -> Metrics {
        let answer = request(self.metrics_at(), "GET", "/metrics", &[], b"").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/plain; version=0.0.4; charset=utf-8")
        );
        Metrics::parse(&answer.body)
    }

    /// Its metrics once they are as they should be.
    pub async fn metrics_when(&self, right: impl Fn(&Metrics) -> bool) -> Metrics {
        let start = Instant::now();
        loop {
            let metrics = self.metrics().await;
            if right(&metrics) {
                return metrics;
            }
            assert!(start.elapsed() < PATIENCE, "not right after {PATIENCE:?}: {metrics:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the process has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("gema.log")).unwrap_or_default()
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kilobytes") * 1024
    }

    /// Bytes that the kernel has for its broadcast server from this peer, and that it has not read yet. `None`: it has
    /// no such connection.
    #[must_use]
    pub fn unread(&self, peer: SocketAddr) -> Option<usize> {
        let table = fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
        let of = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let ours = of(fields[1]) == Some(self.broadcast.port()) && of(fields[2]) == Some(peer.port());
            let (_, unread) = fields[4].split_once(':')?;
            ours.then(|| usize::from_str_radix(unread, 16).ok()).flatten()
        })
    }

    /// Time that its threads have spent on a processor.
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process runs");
        let spent = |thread: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.filter_map(spent).sum())
    }

    /// Files and sockets it has open.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).expect("the process runs").count()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("a process id");
        rustix::process::kill_process(pid, signal).expect("our own child takes a signal");
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
        crate::stands_still(self.child.id());
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Ends it without a word (SIGKILL), and keeps its ports for it.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
        self.keep_ports();
    }

    /// Keeps the ports of a process that has ended.
    pub fn keep_ports(&mut self) {
        let ports = [self.broadcast, self.web].map(|at| at.port());
        let ports: BTreeSet<u16> = ports.into_iter().filter(|port| *port != 0).collect();
        self.kept.extend(ports.into_iter().filter_map(|port| {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_reuseaddr(true).expect("a TCP socket");
            socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok().map(|()| socket)
        }));
    }

    /// Does it still run?
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        self.ended_within(PATIENCE).await
    }

    /// As [`Gema::ended`], for an end that takes its time.
    pub async fn ended_within(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(start.elapsed() < patience, "gema has not ended after {patience:?}:\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Gema {
    fn drop(&mut self) {
        // It may have ended already, which is what several tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- log of gema ---\n{log}--- end of log ---");
        } else {
            assert!(!log.contains("panicked"), "gema panicked:\n{log}");
        }
    }
}

/// The program with the environment of a process, in its folder.
fn command(setup: &Setup, app: &Credentials, folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("REVERB_APP_ID", &app.id).env("REVERB_APP_KEY", &app.key);
    command.env("REVERB_APP_SECRET", app.secret.expose());
    command.env("REVERB_SERVER_PORT", "0").env("APP_PORT", "0");
    command.envs(setup.env.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs its role; what it says is added to its log.
fn launch(command: &mut Command, setup: &Setup, folder: &Path) -> Child {
    command.arg(setup.role);
    if setup.role != "worker" {
        command.args(["--host", "127.0.0.1"]);
    }
    let log = File::options().append(true).create(true).open(folder.join("gema.log")).expect("a log file");
    command.stdout(log.try_clone().expect("a second handle of the log")).stderr(log);
    command.spawn().unwrap_or_else(|e| panic!("{} does not start: {e}", binary().display()))
}

/// Prepares the database, with the environment of the server that will run on it.
fn migrate(like: &Command) {
    let mut command = Command::new(like.get_program());
    command.current_dir(like.get_current_dir().expect("a folder")).env_clear().args(["migrate", "--seed"]);
    command.envs(like.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let output = command.output().expect("gema migrate starts");
    assert!(
        output.status.success(),
        "gema migrate --seed failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The binary under test: `GEMA_BIN`, or the one that cargo built beside this test.
fn binary() -> PathBuf {
    std::env::var_os("GEMA_BIN").map_or_else(
        || {
            let test = std::env::current_exe().expect("the path of this test");
            let built = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").join("gema");
            assert!(built.exists(), "{} is missing: build it with `cargo build -p gema`", built.display());
            built
        },
        PathBuf::from,
    )
}

/// The address after these words in a whole line of the log.
fn address(log: &str, words: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(words)?;
    let (line, _) = rest.split_once('\n')?;
    let (_, place) = line.split_once("://")?;
    place.split([',', '/', ' ', '"']).next()?.parse().ok()
}
