//! A mariadb-server of the tests' own: on a free port, in a temporary folder. Starting one takes seconds, so tests that
//! do it no harm share one per process and take a database each.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::PATIENCE;

/// Nothing here has to survive a power cut, which saves most of the time; but what was committed survives a `kill`.
const CARELESS: [&str; 8] = [
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--innodb-doublewrite=0",
    "--innodb-fast-shutdown=2",
    "--sync-frm=0",
    "--skip-name-resolve",
];

/// A running mariadbd. `root` of this machine needs no password.
#[derive(Debug)]
pub struct MariaDb {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Child,
    databases: AtomicU32,
}

impl MariaDb {
    /// The one that the tests of this process share; ends with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<(MariaDb, Child)> = OnceLock::new();
        let (server, _) = SHARED.get_or_init(|| {
            let server = Self::start(&[]);
            let watcher = server.end_with_this_process();
            (server, watcher)
        });
        server
    }

    /// Starts one with further options and waits until it answers.
    #[must_use]
    pub fn start(options: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut install = Command::new("mariadb-install-db");
        install.arg("--no-defaults").arg(format!("--datadir={}", folder.path().join("data").display()));
        // Names of temporary tables are the same in all servers.
        install.arg(format!("--tmpdir={}", folder.path().display()));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"]);
        let made = install.args(CARELESS).output().expect("mariadb-server is installed: `make setup`");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let port = free_port();
        let process = spawn(port, &folder, options);
        let mut server =
            Self { port, folder, options: options.to_vec(), process, databases: AtomicU32::new(0) };
        server.wait();
        server
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Makes an empty database; its name.
    pub fn fresh(&self) -> String {
        let name = format!("gema_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        name
    }

    /// Runs statements as root; what they answer, without the names of the columns.
    pub fn sql(&self, statements: &str) -> String {
        let output = self.client(statements);
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child");
        let status = self.process.wait().expect("our own child");
        assert!(status.signal().is_some(), "it had ended before: {status}");
    }

    /// Starts it again, with everything that was committed.
    pub fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.options);
        self.wait();
    }

    /// Stops it in its tracks: it keeps its connections and says nothing, as behind a cut cable.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        crate::stands_still(self.process.id());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our own child");
    }

    fn client(&self, statements: &str) -> std::process::Output {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "--user=root",
            "--skip-column-names",
            "--batch",
            "--execute",
            statements,
        ]);
        client.arg(format!("--socket={}", self.socket().display()));
        client.output().expect("mariadb-client is installed: `make setup`")
    }

    fn wait(&mut self) {
        let until = Instant::now() + 2 * PATIENCE;
        while !self.client("SELECT 1").status.success() {
            let ended = self.process.try_wait().expect("our own child");
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "mariadbd does not start: {}", log());
            sleep(Duration::from_millis(50));
        }
    }

    /// A value in a `static` is never dropped. A shell that reads from us sees our end, however it comes.
    fn end_with_this_process(&self) -> Child {
        let script = r#"read -r _; kill -9 "$1"; rm -rf "$2""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", &self.process.id().to_string()]).arg(self.folder.path());
        // Not our standard output: who waits for its end waits for us only.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.spawn().expect("a shell")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("a bound socket").port()
}

fn spawn(port: u16, folder: &TempDir, options: &[String]) -> Child {
    let log = std::fs::File::create(folder.path().join("log")).expect("a file in our folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    // Where Debian has it, which is not on everybody's path.
    let debian = Path::new("/usr/sbin/mariadbd");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("mariadbd") });
    command.args(["--no-defaults", "--bind-address=127.0.0.1", "--user=root", "--max-connections=500"]);
    command.args([format!("--datadir={}", path("data")), format!("--socket={}", path("socket"))]);
    command.args([
        format!("--port={port}"),
        format!("--pid-file={}", path("pid")),
        format!("--tmpdir={}", path("")),
    ]);
    command.args(CARELESS).args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("mariadb-server is installed: `make setup`")
}
