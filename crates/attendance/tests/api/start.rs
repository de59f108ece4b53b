//! What can be wrong before the first request, and `migrate`.

use gema_attendance::{Config, Database, MySqlServer, Node, migrate};
use gema_client::Publisher;
use gema_protocol::app::Secret;
use tokio::net::TcpListener;

use crate::kit::{Stage, credentials};

pub(crate) async fn failure(config: Config) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    match Node::open(config, listener.local_addr().unwrap()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_unknown_time_zone_is_named() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.time_zone = "Asia/Jakata".into();
    assert!(failure(config).await.contains("Asia/Jakata"));
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let stage = Stage::new().await;
    let again = migrate(&stage.database, true).await.unwrap();
    assert_eq!((again.applied, again.seeded), (0, false));
    assert_eq!(stage.count("SELECT COUNT(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_database_of_the_first_version_keeps_its_accounts() {
    let stage = Stage::new().await;
    let undo: &[&str] = match stage.database {
        Database::Sqlite(_) => &[
            "DROP INDEX users_email_key_unique",
            "ALTER TABLE users DROP COLUMN email_key",
            "ALTER TABLE users DROP COLUMN deleted_at",
            "CREATE UNIQUE INDEX users_email_unique ON users (email)",
            "DROP INDEX attendances_node_id_index",
            "DROP INDEX attendances_status_index",
        ],
        Database::MySql(_) => &[
            "ALTER TABLE users DROP KEY users_email_key_unique, DROP COLUMN email_key, DROP COLUMN deleted_at,
             ADD UNIQUE KEY users_email_unique (email)",
            "ALTER TABLE attendances DROP KEY attendances_node_id_index, DROP KEY attendances_status_index",
        ],
    };
    for statement in
        undo.iter().chain(&["DROP TABLE corrections", "DELETE FROM _sqlx_migrations WHERE version = 2"])
    {
        stage.sql(statement).await;
    }
    let node = stage.node(stage.config()).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    let again = migrate(&stage.database, true).await.unwrap();
    assert_eq!((again.applied, again.seeded), (0, false));
}

#[tokio::test]
async fn many_processes_may_migrate_at_once() {
    let stage = Stage::empty().await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let database = stage.database.clone();
                async move { migrate(&database, true).await }
            })
        })
        .collect();
    let mut seeded = 0;
    for racer in racers {
        seeded += usize::from(racer.await.unwrap().unwrap().seeded);
    }
    assert_eq!(seeded, 1);
}

#[tokio::test]
async fn several_nodes_may_start_at_once_on_a_database_that_lacks_migrations() {
    let stage = Stage::empty().await;
    if let gema_attendance::Database::Sqlite(path) = &stage.database {
        std::fs::write(path, "").unwrap();
    }
    let nodes =
        tokio::join!(stage.node(stage.config()), stage.node(stage.config()), stage.node(stage.config()));
    assert_eq!(nodes.1.get("/up").send().await.status, 200);
    assert_eq!(
        stage.count("SELECT COUNT(*) FROM users").await,
        0,
        "the demo account is made only where asked for"
    );
}

#[test]
fn no_secret_in_debug_output() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let publisher = Publisher::new("http://127.0.0.1:9", credentials()).unwrap();
    let mut server = MySqlServer::new("gema");
    server.password = Secret::new("db-secret".into());
    let config = Config::new(Database::MySql(Box::new(server)), credentials(), publisher);
    let shown = format!("{config:?} {}", config.database);
    assert!(!shown.contains("app-secret") && !shown.contains("db-secret"), "{shown}");
}
