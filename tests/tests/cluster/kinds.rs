//! What a Redis may be: old ones are refused, TLS and a user with the documented rights are enough, and several
//! installations share one without hearing each other.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gema_broadcast::Address;
use gema_cluster::engine::{Engine, Notice};
use gema_cluster::redis::Redis as Share;
use gema_protocol::channel::ChannelName;
use gema_tests::{Authority, PATIENCE, Redis, Setup};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::contract::{append, engine_at, holds};
use crate::servers::Node;

/// Says what a Redis of version 6.2 says.
async fn old_redis(listener: TcpListener, connections: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(old_words(stream));
    }
}

async fn old_words(mut stream: TcpStream) {
    let mut said = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut said).await {
        let said = String::from_utf8_lossy(&said[..length]).into_owned();
        let answer = match said {
            said if said.contains("PING") => "+PONG\r\n",
            said if said.contains("CLIENT") => ":7\r\n",
            said if said.contains("HELLO") => "*4\r\n+server\r\n+redis\r\n+version\r\n+6.2.14\r\n",
            _ => "-ERR unknown command\r\n",
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn sharing(port: u16) -> Setup {
    let port = port.to_string();
    Setup::broadcast().env("REVERB_SCALING_ENABLED", "true").env("REDIS_PORT", &port)
}

const TOO_OLD: &str =
    "the Redis is version 6.2.14 and has no sharded pub/sub: use Redis 7 or newer, or any Valkey";

#[tokio::test(flavor = "multi_thread")]
async fn an_old_redis_is_refused_at_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    let serving = tokio::spawn(old_redis(listener, Arc::default()));
    let (status, log) = sharing(port).refused().await;
    assert!(!status.success() && log.contains(&format!("REDIS_HOST: {TOO_OLD}")), "{status}: {log}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_redis_that_comes_later_is_named_once_and_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("a bound socket");
    drop(listener);
    let gema = sharing(at.port()).start().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind(at).await.expect("the port of before");
    let serving = tokio::spawn(old_redis(listener, connections.clone()));
    let start = Instant::now();
    while connections.load(Ordering::Relaxed) < 8 {
        assert!(start.elapsed() < PATIENCE, "it is looked at again and again:\n{}", gema.log());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gema.log().matches(TOO_OLD).count(), 1, "{}", gema.log());
    let mut client = gema.subscriber("c").await;
    gema.api().publish("c", "e", "1").await;
    assert_eq!(client.expect("e").await.data, "1");
    serving.abort();
}

/// The rights that the documentation says are enough, as `ACL SETUSER` takes them.
pub(crate) fn documented_rights() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, rights) =
        page.split_once("ACL SETUSER gema on >secret ").expect("the command that makes the user");
    rights
        .split("\n```")
        .next()
        .unwrap_or_default()
        .replace(" \\\n", " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Commands that scripts call, by the name of their file's text.
fn called_by(lua: &str) -> Vec<String> {
    let calls = lua.split("redis.call('").chain(lua.split("redis.pcall('")).skip(1);
    calls.filter_map(|rest| rest.split_once('\'')).map(|(name, _)| name.to_lowercase()).collect()
}

#[test]
fn every_command_of_a_script_is_documented() {
    let rights = documented_rights();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cluster/src/redis");
    for file in fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path()) {
        if file.extension().is_some_and(|extension| extension == "lua") {
            let lua = fs::read_to_string(&file).expect("a script");
            for command in called_by(&lua).into_iter().filter(|name| name.chars().all(char::is_alphabetic)) {
                let right = format!("+{command}");
                assert!(
                    rights.split(' ').any(|one| one == right),
                    "docs/redis.md lacks {right}, which {} needs",
                    file.display()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_a_user_with_the_documented_rights_are_enough() {
    let authority = Authority::new();
    let server = Redis::start_guarded(&authority, &documented_rights()).await;
    let address = Address::parse_trusting(&server.url(), &authority.root()).expect("an address");
    holds(&address).await;
    let log = server.cli(&["ACL", "LOG"]);
    // What fred asks on its own, and does without.
    let others = log.lines().filter(|line| line.starts_with("object")).count();
    assert!(others == 0 || !log.contains("\nscript"), "{log}");
    for right in ["time", "spublish", "ssubscribe", "evalsha", "xadd", "xrange", "getrange"] {
        server.cli(&["ACL", "SETUSER", "gema", &format!("-{right}")]);
        let named = what_is_missing(&address).await;
        assert!(named.to_lowercase().contains(right), "without {right}: {named}");
        server.cli(&["ACL", "SETUSER", "gema", &format!("+{right}")]);
    }
}

/// What the log of a node says that has too few rights.
async fn what_is_missing(address: &Address) -> String {
    let (share, mut notices) = engine_at(address.clone(), "1", "secret");
    let trouble = async {
        loop {
            if let Some(trouble) = share.trouble() {
                return trouble;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        trouble = timeout(PATIENCE, trouble) => trouble.expect("a reason in time"),
        notice = notices.recv() => {
            assert_eq!(notice, Some(Notice::Up));
            first_refusal(&share).await
        }
    }
}

async fn first_refusal(share: &Share) -> String {
    let channel = ChannelName::parse("cache-c", 200).expect("a legal name");
    let keep = Some(("kept", Duration::from_secs(60)));
    let appended = share.append(&append("cache-c", 1, None), keep).await.err();
    let paged = share.page(&channel, None).await.err();
    let kept = share.last_event(&channel).await.err();
    appended.or(paged).or(kept).expect("one is refused").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_or_password_is_no_way_in() {
    let authority = Authority::new();
    let server = Redis::start_guarded(&authority, &documented_rights()).await;
    let stranger = Address::parse_trusting(&server.url(), &Authority::new().root()).expect("an address");
    let named = what_is_missing(&stranger).await;
    assert!(named.contains("InvalidCertificate"), "{named}");
    let wrong = server.url().replace("p%25ss", "wrong");
    let named =
        what_is_missing(&Address::parse_trusting(&wrong, &authority.root()).expect("an address")).await;
    assert!(named.contains("WRONGPASS"), "{named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_that_differ_in_one_name_never_hear_each_other() {
    let redis = Redis::start().await;
    let (url, other_database) = (redis.url(), format!("{}/1", redis.url()));
    let of =
        |url: &str, prefix: &str, scaling_channel: &str| Node::start_as(url, prefix, scaling_channel, |_| {});
    let nodes = [
        of(&url, "", "reverb"),
        of(&url, "p", "reverb"),
        of(&url, "", "other"),
        of(&other_database, "", "reverb"),
    ];
    let mut clients = Vec::new();
    for node in &nodes {
        node.publish_confirmed("linked", "e", "").await;
        clients.push(node.subscriber("cache-c").await);
    }
    for (name, node) in ["first", "second", "third", "fourth"].iter().zip(&nodes) {
        node.publish_confirmed("cache-c", name, "").await;
    }
    for (name, client) in ["first", "second", "third", "fourth"].iter().zip(&mut clients) {
        loop {
            let frame = client.frame().await;
            if frame.event == *name {
                break;
            }
            assert!(frame.event.starts_with("pusher"), "{name} heard {}", frame.text);
        }
        client.nothing_came().await;
    }
    for node in &nodes {
        assert_eq!(node.api().get("/channels", &[]).await.json(), json!({"channels": {"cache-c": {}}}));
    }
    drop(clients);
    for node in nodes {
        node.stop().await;
    }
}
