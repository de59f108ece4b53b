//! The test kit: it starts the real `gema` binary on free ports, talks to it from outside, and owns its end.
//!
//! [`Gema`] is a running process, [`Client`] a WebSocket client that sees every frame, [`Api`] the signed HTTP API,
//! [`Raw`] HTTP byte by byte, [`Redis`] a redis-server of the test's own, [`Cut`] a wire to it that can break, [`Nginx`] a
//! balancer before some servers, [`Recorder`] a client that keeps what comes,
//! [`MariaDb`] a database server, [`Stack`] all of that together, as `docker/compose.yml` has it. [`Memory`] stands in for
//! Redis in tests of what is built on the seam between servers; nothing else in here knows how the server works inside. The
//! tests are in `tests/`, one file per subject; the same kit for
//! Node is `node/kit.mjs`.

mod api;
mod certificate;
mod client;
mod cut;
mod dice;
mod gema;
mod mariadb;
mod memory;
mod metrics;
mod nginx;
mod raw;
mod receiver;
mod recorder;
mod redis;
mod redis_kinds;
mod stack;
pub mod wire;

pub use api::{Answer, Api, now, request, request_over, try_request};
pub use certificate::{Authority, Certificate, Trust, openssl};
pub use client::{Client, Frame, Heard};
pub use cut::Cut;
pub use dice::Dice;
pub use gema::{Gema, Setup};
pub use mariadb::MariaDb;
pub use memory::{Memory, MemoryEngine};
pub use metrics::Metrics;
pub use nginx::Nginx;
pub use raw::Raw;
pub use receiver::{Delivery, Receiver};
pub use recorder::{Came, Recorder, Said, Tally};
pub use redis::Redis;
pub use redis_kinds::{Move, RedisCluster, Sentinels};
pub use stack::{Plan, Stack};

use std::fmt::Debug;
use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};

/// How long a test waits for something that must come. Only a fault ever waits that long: it may be generous.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a process that was sent SIGSTOP stands still: the signal is on its way when the call returns, and a busy
/// machine lets threads go on for a while.
pub(crate) fn stands_still(process: u32) {
    let start = Instant::now();
    let stands = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    };
    while !std::fs::read_dir(format!("/proc/{process}/task")).expect("our own child").flatten().all(stands) {
        assert!(start.elapsed() < PATIENCE, "process {process} does not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Shows a measured figure, also of a test that passes: lines that begin so are shown by `make test`.
pub fn figure(text: &str) {
    // Not `println!`, which is shown for failing tests only.
    let _ = writeln!(std::io::stdout(), "» {text}");
}

/// What bytes come and go over: a socket, or TLS on one.
pub trait Wire: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Wire for T {}

/// Lets this process open as many files as the system allows, for tests with thousands of sockets.
pub fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).expect("up to the hard limit");
}
