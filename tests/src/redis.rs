//! A redis-server of a test's own: on a free port, in a temporary folder, ended with the test.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::Authority;

/// User and password of [`Redis::start_guarded`], as they stand in a URL.
pub(crate) const GUEST: &str = "gema:p%25ss";

/// A running redis-server.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    tls_port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Child,
    url: String,
}

impl Redis {
    /// Starts one and waits until it listens.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with further options of the command line. `{bus}` and `{tls}` in them are further free ports.
    pub async fn start_with(options: &[&str]) -> Self {
        for _ in 0..5 {
            let (port, bus, tls_port) = (free_port().await, free_port().await, free_port().await);
            let fill = |option: &&str| {
                option.replace("{bus}", &bus.to_string()).replace("{tls}", &tls_port.to_string())
            };
            let options: Vec<_> = options.iter().map(fill).collect();
            let folder = tempfile::tempdir().expect("a temporary folder");
            let process = spawn(port, &folder, &options);
            let mut server =
                Self { port, tls_port, folder, options, process, url: format!("redis://127.0.0.1:{port}") };
            if server.listens().await {
                return server;
            }
        }
        panic!("redis-server does not start; `make setup` installs it");
    }

    /// Starts one that speaks TLS, too, with a certificate of this authority.
    pub async fn start_secure(authority: &Authority, options: &[&str]) -> Self {
        let certificate = authority.issue("redis");
        let path = |path: &std::path::Path| path.to_str().expect("a path in UTF-8").to_owned();
        let (cert, key, root) = (path(&certificate.cert), path(&certificate.key), path(&authority.root()));
        let port = ["--tls-port", "{tls}", "--tls-auth-clients", "no", "--tls-replication", "yes"];
        let files = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &root];
        Self::start_with(&[&port, &files, options].concat()).await
    }

    /// As [`Redis::start_secure`]. [`Redis::url`] leads there with a user and password who have `rights`; [`Redis::cli`]
    /// may do everything.
    pub async fn start_guarded(authority: &Authority, rights: &str) -> Self {
        let mut server = Self::start_secure(authority, &[]).await;
        server.admit(rights);
        server.url = format!("rediss://{GUEST}@127.0.0.1:{}", server.tls_port);
        server
    }

    /// Lets [`GUEST`] in, with these rights.
    pub(crate) fn admit(&self, rights: &str) {
        let user = format!("ACL SETUSER gema on >p%ss {rights}");
        assert_eq!(self.cli(&user.split(' ').collect::<Vec<_>>()), "OK");
    }

    /// Ends it without a word, and without anything kept.
    pub async fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Starts it again on the same port, with what was saved.
    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.options);
        assert!(self.listens().await, "redis-server starts again");
    }

    /// Writes down what it has: what it will begin with when it starts again.
    pub fn save(&self) {
        assert_eq!(self.cli(&["SAVE"]), "OK");
    }

    /// Throws away what it has written down.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(self.folder.path().join("dump.rdb"));
    }

    /// Stops it in the middle of whatever it does.
    pub fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).expect("our own child");
        crate::stands_still(self.process.id());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).expect("our own child");
    }

    /// One command by redis-cli, as an administrator; its answer.
    pub fn cli(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        let output = output.expect("redis-cli comes with redis-server");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Where it listens in plain text.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The port of that.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for TLS, if it was started so.
    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// False when it ended: somebody else took the port.
    async fn listens(&mut self) -> bool {
        for _ in 0..600 {
            if self.process.try_wait().expect("our own child").is_some() {
                return false;
            }
            if self.answers().await {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Is it this process that listens there? Another test's may have taken the port, and this one has not noticed yet.
    async fn answers(&self) -> bool {
        let mut said = vec![0; 8 * 1024];
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(b"INFO server\r\n").await?;
            stream.read(&mut said).await
        };
        let Ok(Ok(length)) = timeout(Duration::from_secs(1), asked).await else { return false };
        let ours = format!("process_id:{}\r\n", self.process.id());
        String::from_utf8_lossy(&said[..length]).contains(&ours)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    free.local_addr().expect("a bound socket").port()
}

/// Options that begin with "sentinel " are lines of a file, which a sentinel wants to write to.
fn spawn(port: u16, folder: &TempDir, options: &[String]) -> Child {
    let (lines, options): (Vec<_>, Vec<_>) =
        options.iter().partition(|option| option.starts_with("sentinel "));
    let mut command = Command::new("redis-server");
    if !lines.is_empty() {
        let (file, lines) =
            (folder.path().join("sentinel.conf"), lines.into_iter().map(|line| format!("{line}\n")));
        std::fs::write(&file, lines.collect::<String>()).expect("a file of our own");
        command.arg(file).arg("--sentinel");
    }
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command.args(["--dir".as_ref(), folder.path().as_os_str()]).args(options).stdout(Stdio::null());
    command.spawn().expect("redis-server is installed: `make setup`")
}
