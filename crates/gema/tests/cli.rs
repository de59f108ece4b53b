//! The binary from outside: what it writes, prints and exits with. Each test has a folder and an environment of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_request;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const APP: [(&str, &str); 3] =
    [("REVERB_APP_ID", "123456"), ("REVERB_APP_KEY", "key"), ("REVERB_APP_SECRET", "hush")];

fn gema(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gema"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(&gema(folder, arguments).output().expect("gema starts"))
}

/// A running server that is killed when the test ends.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    /// Starts `gema broadcast` on a free port and reads the address that it prints.
    fn broadcast(folder: &Path) -> Self {
        let mut command = gema(folder, &["broadcast", "--host", "127.0.0.1", "--port", "0"]);
        let mut child =
            command.envs(APP).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("gema starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let found = lines
            .filter_map(|line| Some(line.strip_prefix("broadcast server on http://")?.to_owned()))
            .next();
        Self { child, address: found.expect("the address is printed") }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as most tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_writes_fresh_credentials_that_only_the_owner_reads() {
    let folder = folder();
    let (status, printed, _) = run(folder.path(), &["init"]);
    assert_eq!(status, Some(0));
    let path = folder.path().join(".env");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).unwrap();
    let value = |name: &str| {
        let prefix = format!("{name}=");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
    };
    let [id, key, secret] = ["REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET"].map(value);
    assert!(id.len() == 6 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    for word in [&key, &secret] {
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(word.len() >= 20 && plain, "{word}");
    }
    assert!(!printed.contains(&secret), "{printed}");
    let (status, printed, _) = run(folder.path(), &["config", "check"]);
    assert_eq!((status, printed.as_str()), (Some(0), "the settings are in order\n"));
}

#[test]
fn init_makes_other_credentials_each_time() {
    let made = [folder(), folder()].map(|folder| {
        run(folder.path(), &["init"]);
        fs::read_to_string(folder.path().join(".env")).unwrap()
    });
    assert_ne!(made[0], made[1]);
}

#[test]
fn init_never_changes_a_file_that_exists() {
    let table = [
        ("REVERB_APP_ID=1\nREVERB_APP_KEY=k\nREVERB_APP_SECRET=s\n", "has an app"),
        ("APP_NAME=x\n", "It has no REVERB_APP_ID"),
    ];
    for (text, said) in table {
        let folder = folder();
        fs::write(folder.path().join(".env"), text).unwrap();
        let (status, _, errors) = run(folder.path(), &["init"]);
        assert_eq!(status, Some(1));
        assert!(errors.contains(said), "{errors}");
        assert_eq!(fs::read_to_string(folder.path().join(".env")).unwrap(), text);
    }
}

#[test]
fn a_server_role_without_an_app_says_how_to_make_one() {
    for role in ["serve", "broadcast", "attendance", "worker"] {
        let (status, _, errors) = run(folder().path(), &[role]);
        assert_eq!(status, Some(1), "{role}");
        assert!(errors.contains("gema init"), "{role}: {errors}");
    }
}

#[test]
fn a_mistake_on_the_command_line_has_status_2_and_names_the_right_flag() {
    let (status, _, errors) = run(folder().path(), &["broadcast", "--prot", "1"]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("--port"), "{errors}");
    assert_eq!(run(folder().path(), &["brodcast"]).0, Some(2));
    assert_eq!(run(folder().path(), &[]).0, Some(2));
}

#[test]
fn a_file_that_was_asked_for_and_is_missing_has_status_1() {
    for flag in ["--config", "--env-file"] {
        let (status, _, errors) = run(folder().path(), &["broadcast", flag, "nowhere"]);
        assert_eq!(status, Some(1));
        assert!(errors.starts_with("gema: nowhere cannot be read: "), "{errors}");
    }
}

#[test]
fn an_unknown_variable_of_ours_stops_and_a_strange_one_does_not() {
    let folder = folder();
    let check = |name: &str| {
        ended(&gema(folder.path(), &["config", "check"]).envs(APP).env(name, "1").output().unwrap())
    };
    let (status, _, errors) = check("GEMA_LOGG");
    assert_eq!(status, Some(1));
    assert_eq!(errors, "gema: GEMA_LOGG (environment) is not a setting; did you mean GEMA_LOG?\n");
    let (status, printed, _) = check("REVERB_SERVER_PROT");
    assert_eq!(status, Some(0));
    assert!(printed.contains("did you mean REVERB_SERVER_PORT?"), "{printed}");
    assert_eq!(check("ANYTHING").0, Some(0));
}

#[test]
fn print_shows_each_winner_with_its_origin_and_no_secret() {
    let folder = folder();
    fs::write(folder.path().join("gema.toml"), "[server]\npath = \"/toml\"\nport = 1\n").unwrap();
    fs::write(folder.path().join(".env"), "REVERB_SERVER_PORT=2\nNODE_ID=7\n").unwrap();
    let mut command = gema(folder.path(), &["config", "print", "--host", "127.0.0.9"]);
    let (status, printed, _) = ended(&command.envs(APP).env("NODE_ID", "8").output().unwrap());
    assert_eq!(status, Some(0));
    let row = |key: &str| {
        let line = printed.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("server.path"), "\"/toml\" # gema.toml:2");
    assert_eq!(row("server.port"), "\"2\" # .env:1");
    assert_eq!(row("attendance.node_id"), "\"8\" # environment");
    assert_eq!(row("server.host"), "\"127.0.0.9\" # --host");
    assert_eq!(row("attendance.host"), "\"127.0.0.9\" # --host");
    assert_eq!(row("log.filter"), "\"info\" # default");
    assert_eq!(row("app.secret"), "*** # environment");
    assert!(!printed.contains("hush"), "{printed}");
}

#[test]
fn the_reference_page_prints_without_any_setting() {
    let (status, printed, _) = run(folder().path(), &["config", "reference"]);
    assert_eq!(status, Some(0));
    assert!(printed.starts_with("# Settings\n"), "{printed}");
}

#[test]
fn either_signal_ends_a_server_with_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = folder();
        let mut server = Running::broadcast(folder.path());
        server.signal(signal);
        let status = server.child.wait().unwrap();
        let mut log = String::new();
        server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("hush"), "{log}");
    }
}

#[test]
fn health_succeeds_where_a_server_is_well_and_says_why_not() {
    let folder = folder();
    let server = Running::broadcast(folder.path());
    let ask = |path: &str| run(folder.path(), &["health", &format!("http://{}{path}", server.address)]);
    assert_eq!(ask("/ready"), (Some(0), String::new(), String::new()));
    let (status, _, errors) = ask("/nowhere");
    assert_eq!((status, errors.contains("/nowhere answers 404")), (Some(1), true), "{errors}");
    let (status, _, errors) = run(folder.path(), &["health", "http://127.0.0.1:1/up"]);
    assert_eq!((status, errors.contains("Connection refused")), (Some(1), true), "{errors}");
    let (status, _, errors) = run(folder.path(), &["health", "up"]);
    assert_eq!((status, errors.contains("up cannot be asked")), (Some(1), true), "{errors}");
}

/// The target of a signed request with some body of nine bytes.
fn signed_post() -> String {
    let [id, key, secret] = APP.map(|(_, value)| value.to_owned());
    let app = Credentials { id, key, secret: Secret::new(secret) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let path = "/apps/123456/events";
    format!("{path}?{}", sign_request(&app, "POST", path, &[], b"123456789", now))
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = folder();
    let mut server = Running::broadcast(folder.path());
    // A request whose body never comes keeps the first signal from ending it. It is signed: no other body is waited for.
    let mut request = TcpStream::connect(&server.address).unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", signed_post());
    request.write_all(head.as_bytes()).unwrap();
    // Answered only after the other one was taken in: the listener hands connections out in order.
    let mut other = TcpStream::connect(&server.address).unwrap();
    other.write_all(b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    other.read_to_end(&mut Vec::new()).unwrap();
    server.signal(Signal::TERM);
    let log = BufReader::new(server.child.stderr.take().unwrap());
    let mut lines = log.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("a second signal ends at once")));
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_certificate_that_cannot_be_read_is_named_with_its_setting() {
    let folder = folder();
    fs::write(folder.path().join("a.pem"), "no certificate").unwrap();
    let table = [("none.pem", "cannot be read (No such file"), ("a.pem", "holds no certificate in PEM form")];
    for (file, words) in table {
        for arguments in [&["config", "check"][..], &["broadcast", "--host", "127.0.0.1", "--port", "0"]] {
            let mut command = gema(folder.path(), arguments);
            command.envs(APP).env("GEMA_TLS_CERT", file).env("GEMA_TLS_KEY", "a.key");
            let (status, _, errors) = ended(&command.output().unwrap());
            assert_eq!(status, Some(1), "{errors}");
            assert!(errors.starts_with(&format!("gema: GEMA_TLS_CERT: {file} {words}")), "{errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    }
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let folder = folder();
    let server = Running::broadcast(folder.path());
    let port = server.address.rsplit(':').next().unwrap();
    let mut command = gema(folder.path(), &["broadcast", "--host", "127.0.0.1", "--port", port]);
    let (status, _, errors) = ended(&command.envs(APP).output().unwrap());
    assert_eq!(status, Some(1));
    let sentence = format!(
        "gema: port {port} on 127.0.0.1 is taken by another program: stop it or set REVERB_SERVER_PORT\n"
    );
    assert_eq!(errors, sentence);
}

#[test]
fn an_unknown_flag_names_the_nearest() {
    let table = [
        (vec!["serve", "--prot", "1"], "--port"),
        (vec!["serve", "--listen-host", "x"], "--host"),
        (vec!["broadcast", "--env", "x"], "--env-file"),
        (vec!["config", "print", "--for-role", "x"], "--role"),
    ];
    for (arguments, flag) in table {
        let (status, _, errors) = run(folder().path(), &arguments);
        assert_eq!(status, Some(2), "{arguments:?}");
        assert!(errors.contains(&format!("'{flag}'")), "{arguments:?}: {errors}");
    }
}

#[test]
fn what_no_server_could_start_with_is_found_by_the_check() {
    for (name, value) in [("APP_TIMEZONE", "Asia/Jakata"), ("REVERB_HOST", "https://ws.example.com")] {
        let folder = folder();
        let mut command = gema(folder.path(), &["config", "check"]);
        let (status, _, errors) = ended(&command.envs(APP).env(name, value).output().unwrap());
        assert_eq!(status, Some(1), "{name}");
        assert!(
            errors.starts_with(&format!("gema: {name} (environment) is {value:?}; it must be ")),
            "{errors}"
        );
    }
}

#[test]
fn a_server_that_cannot_start_names_no_address() {
    let folder = folder();
    let mut command =
        gema(folder.path(), &["serve", "--host", "127.0.0.1", "--port", "0", "--app-port", "0"]);
    let (status, printed, errors) = ended(&command.envs(APP).output().unwrap());
    assert_eq!(status, Some(1));
    assert!(!printed.contains("http://"), "{printed}");
    assert!(errors.contains("run `gema migrate`"), "{errors}");
}

#[test]
fn the_queue_of_failed_events_is_looked_after_from_the_command_line() {
    let folder = folder();
    let say = |arguments: &[&str]| ended(&gema(folder.path(), arguments).envs(APP).output().unwrap());
    assert_eq!(say(&["migrate"]).0, Some(0));
    assert_eq!(say(&["queue", "failed"]).1, "no event has failed\n");
    assert_eq!(say(&["queue", "retry", "all"]).1, "failed events put back: 0\n");
    assert_eq!(say(&["queue", "flush"]).1, "failed events forgotten: 0\n");
    let (status, _, errors) = say(&["queue", "retry", "7"]);
    assert_eq!((status, errors.contains("no failed event has the id 7")), (Some(1), true), "{errors}");
    let (status, _, errors) = say(&["queue", "retry", "seven"]);
    assert_eq!((status, errors.contains("`seven` is no id")), (Some(1), true), "{errors}");
}
