//! A redis-server of a test's own: on a free port, in a temporary folder, ended with the test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gema_cluster::engine::Notices;
use gema_cluster::name::Namespace;
use gema_cluster::redis::{Address, Redis};
use gema_cluster::seal::Sealer;
use gema_protocol::app::Secret;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The server.
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    process: Child,
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) async fn start() -> Self {
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let folder = tempfile::tempdir().unwrap();
            let process = spawn(port, &folder);
            let mut server = Self { port, folder, process };
            if server.listens().await {
                return server;
            }
        }
        panic!("redis-server does not start; `make setup` installs it");
    }

    /// Ends it without a word, and without anything kept.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, with empty memory.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(self.listens().await, "redis-server starts again");
    }

    /// One app's share for a process of its own.
    pub(crate) fn engine(&self, secret: &str) -> (Redis, Notices) {
        let address = Address::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let sealer = Sealer::new(&Secret::new(secret.to_owned()));
        let unique = u128::from_le_bytes(std::array::from_fn(|_| fastrand()));
        Redis::start(address, Namespace::new("", "reverb", 0, "1"), sealer, unique)
    }

    /// False when it ended: somebody else took the port.
    async fn listens(&mut self) -> bool {
        for _ in 0..600 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path()).stdout(Stdio::null());
    command.spawn().expect("redis-server is installed: `make setup`")
}

/// A byte that differs from process to process and call to call.
fn fastrand() -> u8 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish().to_le_bytes()[0]
}
