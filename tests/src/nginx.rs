//! The real nginx with the configuration of `docker/nginx`, on a free port before servers of the test.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, sleep};

/// A running nginx; ended with the test.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens.
    pub at: SocketAddr,
    folder: TempDir,
    process: Child,
}

impl Nginx {
    /// Starts one before these broadcast and attendance servers and waits until it listens.
    pub async fn start(broadcast: &[SocketAddr], attendance: &[SocketAddr]) -> Self {
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let at = free.local_addr().expect("a bound socket");
            drop(free);
            let folder = configured(at, broadcast, attendance);
            let process = spawn(folder.path());
            let mut nginx = Self { at, folder, process };
            if nginx.listens().await {
                return nginx;
            }
        }
        panic!("nginx does not start; `make setup` installs it");
    }

    /// What it has logged of requests.
    #[must_use]
    pub fn log(&self) -> String {
        self.read("access.log")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// False when it ended: somebody else took the port.
    async fn listens(&mut self) -> bool {
        for _ in 0..600 {
            if self.process.try_wait().expect("our own child").is_some() {
                eprintln!("{}", self.read("error.log"));
                return false;
            }
            if TcpStream::connect(self.at).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, not KILL: the workers end with the master.
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- errors of nginx ---\n{}--- end of errors ---", self.read("error.log"));
        }
    }
}

/// A folder with the configuration, for this machine.
fn configured(at: SocketAddr, broadcast: &[SocketAddr], attendance: &[SocketAddr]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The workers are somebody else when the test runs as root.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/nginx");
    fs::copy(format!("{source}/nginx.conf"), folder.path().join("nginx.conf")).expect("the configuration");
    let upstreams = fs::read_to_string(format!("{source}/upstreams.conf")).expect("the servers");
    let upstreams =
        with_servers(&with_servers(&upstreams, "broadcast-", broadcast), "attendance-", attendance);
    let own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let own: String = own.map(|name| format!("{name}_temp_path {name};\n")).concat();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file in it");
    write("upstreams.conf", &(upstreams + &own));
    write(
        "process.conf",
        "worker_processes 2;\nworker_rlimit_nofile 20000;\npid nginx.pid;\nerror_log error.log warn;\n",
    );
    write("listen.conf", &format!("listen {at} reuseport backlog=4096;\naccess_log access.log gema;\n"));
    folder
}

/// The same upstreams with the test's servers in place of those with such a name and a number. Numbers that the test has no
/// server for go.
fn with_servers(upstreams: &str, name: &str, servers: &[SocketAddr]) -> String {
    let lines = upstreams.lines().filter_map(|line| {
        let Some((before, rest)) = line.split_once(name) else { return Some(line.to_owned()) };
        let (number, rest) = rest.split_once(':').expect("a port after the name");
        let (_, options) = rest.split_once(' ').expect("options after the port");
        let number: usize = number.parse().expect("a number in the name");
        servers.get(number - 1).map(|server| format!("{before}{server} {options}"))
    });
    lines.fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn spawn(folder: &Path) -> Child {
    // Not in everybody's PATH.
    let program = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if program.exists() { program } else { Path::new("nginx") });
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("nginx is installed: `make setup`")
}
