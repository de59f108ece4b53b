//! What only a server can do: refuse somebody, have odd settings, be away and come back.

use std::time::{Duration, Instant};

use gema_attendance::{Database, MySqlServer, Node as ApiNode, StartError, migrate};
use gema_protocol::app::Secret;
use gema_tests::{Authority, MariaDb};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::kit::{Kit, Node, PATIENCE, Stage};

const GUIDE: &str = include_str!("../../../../docs/database.md");

/// A new database on a server.
pub(crate) fn on(server: &MariaDb) -> Database {
    let mut address = MySqlServer::new(server.fresh());
    address.port = server.port();
    Database::MySql(Box::new(address))
}

/// A server of the test's own, and a stage on it.
async fn own(options: Vec<String>) -> (MariaDb, Stage) {
    let server = spawn_blocking(move || MariaDb::start(&options)).await.unwrap();
    let database = on(&server);
    migrate(&database, true).await.unwrap();
    let stage = Stage::with(tempfile::tempdir().unwrap(), database).await;
    (server, stage)
}

fn address(stage: &Stage) -> MySqlServer {
    match &stage.database {
        Database::MySql(server) => (**server).clone(),
        Database::Sqlite(_) => unreachable!("this program has no files"),
    }
}

/// The sentence with which a node does not start.
async fn refusal(stage: &Stage, change: impl FnOnce(&mut MySqlServer)) -> String {
    let mut server = address(stage);
    server.patience = Duration::ZERO;
    change(&mut server);
    let mut config = stage.config();
    config.database = Database::MySql(Box::new(server));
    let Err(StartError::Database(text)) = ApiNode::open(config, ([127, 0, 0, 1], 1).into()).await else {
        panic!("it started, or failed in another way")
    };
    text
}

#[tokio::test]
async fn what_keeps_a_node_from_starting_is_named_with_its_fix() {
    let stage = Stage::new().await;
    let unknown = refusal(&stage, |server| server.database = "nowhere".into()).await;
    assert!(unknown.contains("nowhere") && unknown.contains("CREATE DATABASE"), "{unknown}");
    let stranger = refusal(&stage, |server| server.username = "stranger".into()).await;
    assert!(stranger.contains("stranger") && stranger.contains("DB_USERNAME and DB_PASSWORD"), "{stranger}");
    let away = refusal(&stage, |server| server.port = 9).await;
    assert!(away.contains("127.0.0.1:9") && away.contains("DB_HOST and DB_PORT"), "{away}");
    let socket = refusal(&stage, |server| server.socket = Some("/nowhere/socket".into())).await;
    assert!(socket.contains("/nowhere/socket") && socket.contains("DB_SOCKET"), "{socket}");
    let plain = refusal(&stage, |server| server.tls_ca = Some("/etc/hostname".into())).await;
    assert!(plain.contains("MYSQL_ATTR_SSL_CA"), "{plain}");
}

/// The grants are those of the guide, word for word but for names: what it tells people is what is tested.
#[tokio::test]
async fn the_rights_that_the_guide_lists_are_enough_and_needed() {
    let server = MariaDb::shared();
    let stage = Stage::empty().await;
    let database = address(&stage).database;
    let blocks = GUIDE.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap());
    let grants: String =
        blocks.flat_map(str::lines).filter(|line| !line.starts_with("CREATE DATABASE")).collect();
    let renamed =
        grants.replace("gema.*", &format!("{database}.*")).replace("'gema", &format!("'{database}"));
    server.sql(&renamed);

    let nodes = |server: &mut MySqlServer| {
        (server.username, server.password) = (database.clone(), Secret::new("secret".into()));
    };
    let text = refusal(&stage, nodes).await;
    assert!(text.contains("run `gema migrate` as a user with the rights"), "{text}");

    let mut migrating = address(&stage);
    (migrating.username, migrating.password) =
        (format!("{database}_migrate"), Secret::new("other secret".into()));
    let done = migrate(&Database::MySql(Box::new(migrating)), true).await.unwrap();
    let known = stage.count("SELECT COUNT(*) FROM _sqlx_migrations").await;
    assert_eq!((done.applied, done.seeded), (usize::try_from(known).unwrap(), true));

    let mut config = stage.config();
    let mut working = address(&stage);
    nodes(&mut working);
    config.database = Database::MySql(Box::new(working));
    let node = stage.node(config).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    node.check_out(&token).await;
    stage.broadcast.wait(2).await;
    stage.drained().await;
    assert_eq!(node.post("/api/logout").bearer(&token).send().await.status, 204);
    node.stop().await;
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_begun_anew() {
    let stage = Stage::new().await;
    // As if the process had died after the first tables, none of which had rows yet.
    stage.sql("DROP TABLE failed_jobs").await;
    stage.sql("DROP TABLE outbox").await;
    stage.sql("UPDATE _sqlx_migrations SET success = FALSE").await;
    let known = stage.count("SELECT COUNT(*) FROM _sqlx_migrations").await;
    assert_eq!(migrate(&stage.database, true).await.unwrap().applied, usize::try_from(known).unwrap());
    let node = stage.node(stage.config()).await;
    node.check_in(&node.admin().await).await;
    stage.broadcast.wait(1).await;
}

#[tokio::test]
async fn the_settings_of_the_server_do_not_matter() {
    let authority = Authority::new();
    let certificate = authority.issue_for("database", "127.0.0.1");
    let odd = [
        "--default-time-zone=+07:00".to_owned(),
        "--sql-mode=".to_owned(),
        "--character-set-server=latin1".to_owned(),
        "--transaction-isolation=SERIALIZABLE".to_owned(),
        "--require-secure-transport=ON".to_owned(),
        format!("--ssl-cert={}", certificate.cert.display()),
        format!("--ssl-key={}", certificate.key.display()),
    ];
    let (_server, stage) = own(odd.to_vec()).await;
    let mut config = stage.config();
    let mut strict = address(&stage);
    strict.tls_ca = Some(authority.root());
    config.database = Database::MySql(Box::new(strict));
    let node = stage.node(config).await;
    let (_, token) = node.employee("Sari").await;
    let before = jiff::Timestamp::now();
    let notes = json!({ "notes": "dari rumah 🏠 é" });
    let record = node.post("/api/attendances/check-in").bearer(&token).json(&notes).send().await.json();
    assert_eq!(record["notes"], notes["notes"]);
    let at: jiff::Timestamp = record["check_in"].as_str().unwrap().parse().unwrap();
    assert!(at >= before - Duration::from_millis(1) && at <= jiff::Timestamp::now(), "{at} is not now");
    stage.drained().await;
    assert_eq!(stage.broadcast.wait(1).await[0].data("attendances")["timestamp"], record["updated_at"]);
}

/// Asks until the answer is this one.
async fn answers(node: &Node, token: &str, status: u16) {
    let asked = async {
        while node.get("/api/attendances").bearer(token).send().await.status != status {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(2 * PATIENCE, asked).await.unwrap_or_else(|_| panic!("never {status}"));
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_costs_only_time() {
    let (mut server, stage) = own(Vec::new()).await;
    let mut config = stage.config();
    config.worker.lease = Duration::from_secs(1);
    config.worker.poll = Duration::from_millis(100);
    let node = stage.node(config.clone()).await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    node.check_in(&sari).await;
    stage.drained().await;

    server.kill();
    let reply = node.post("/api/attendances/check-in").bearer(&budi).send().await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    let sentence = "The server is busy. Please try again in a moment.";
    assert_eq!(reply.json(), json!({ "message": sentence }));
    assert_eq!(node.get("/up").send().await.status, 503);
    // A node that starts meanwhile waits for the server.
    let late = tokio::spawn(Node::start(config));
    let mut server = spawn_blocking(move || {
        server.start_again();
        server
    })
    .await
    .unwrap();
    answers(&node, &sari, 200).await;
    node.check_in(&budi).await;
    assert_eq!(late.await.unwrap().get("/up").send().await.status, 200);
    stage.broadcast.wait(2).await;
    stage.drained().await;

    // Now it keeps its connections and says nothing.
    server.freeze();
    let start = Instant::now();
    let (read, write) = tokio::join!(
        node.get("/api/attendances").bearer(&budi).send(),
        node.post("/api/attendances/check-out").bearer(&budi).send(),
    );
    assert_eq!((read.status, write.status), (503, 503));
    assert!(start.elapsed() < 2 * PATIENCE, "{:?}", start.elapsed());
    server.thaw();
    answers(&node, &budi, 200).await;
    let reply = node.post("/api/attendances/check-out").bearer(&budi).send().await;
    // What was in the air when it froze may have been done.
    assert!([200, 409].contains(&reply.status), "{}", reply.text);
    stage.drained().await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM attendances WHERE check_out IS NOT NULL").await, 1);
    server.kill();
}

#[tokio::test]
async fn a_socket_does_as_well() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    let mut server = address(&stage);
    (server.port, server.socket) = (9, Some(MariaDb::shared().socket()));
    config.database = Database::MySql(Box::new(server));
    let Kit { stage, node } = Kit { node: stage.node(config).await, stage };
    node.check_in(&node.admin().await).await;
    stage.drained().await;
}
