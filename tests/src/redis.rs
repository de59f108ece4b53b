//! A redis-server of a test's own: on a free port, in a temporary folder, ended with the test.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A running redis-server.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: TempDir,
    process: Child,
}

impl Redis {
    /// Starts one and waits until it listens.
    pub async fn start() -> Self {
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = free.local_addr().expect("a bound socket").port();
            drop(free);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let process = spawn(port, &folder);
            let mut server = Self { port, folder, process };
            if server.listens().await {
                return server;
            }
        }
        panic!("redis-server does not start; `make setup` installs it");
    }

    /// Ends it without a word, and without anything kept.
    pub async fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Starts it again on the same port, with empty memory.
    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(self.listens().await, "redis-server starts again");
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// False when it ended: somebody else took the port.
    async fn listens(&mut self) -> bool {
        for _ in 0..600 {
            if self.process.try_wait().expect("our own child").is_some() {
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

impl Drop for Redis {
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
