//! What can be wrong before the first request, and `migrate`.

use gema_attendance::{Config, Node, StartError, migrate};
use gema_client::Publisher;
use tokio::net::TcpListener;

use crate::kit::{Stage, credentials};

async fn failure(config: Config) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    match Node::open(config, listener.local_addr().unwrap()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

fn config(stage: &Stage, database: &str) -> Config {
    let publisher = Publisher::new("http://127.0.0.1:9", credentials()).unwrap();
    Config::new(format!("sqlite:{}", stage.path().join(database).display()), credentials(), publisher)
}

#[tokio::test]
async fn a_database_that_was_never_made_names_the_command() {
    let stage = Stage::new().await;
    let text = failure(config(&stage, "new.sqlite")).await;
    assert!(text.contains("new.sqlite") && text.contains("`gema migrate`"), "{text}");
    assert!(!stage.path().join("new.sqlite").exists());
}

#[tokio::test]
async fn an_empty_database_names_the_command_too() {
    let stage = Stage::new().await;
    std::fs::write(stage.path().join("empty.sqlite"), "").unwrap();
    let text = failure(config(&stage, "empty.sqlite")).await;
    assert!(text.contains("`gema migrate`"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let stage = Stage::new().await;
    std::fs::write(stage.path().join("notes.txt"), "not a database ".repeat(100)).unwrap();
    let text = failure(config(&stage, "notes.txt")).await;
    assert!(text.contains("notes.txt") && text.contains("something else"), "{text}");
}

#[tokio::test]
async fn a_missing_folder_is_named_by_migrate() {
    let stage = Stage::new().await;
    let url = format!("sqlite:{}", stage.path().join("no/such/folder/x.sqlite").display());
    let Err(StartError::Database(text)) = migrate(&url, false).await else { panic!("it worked") };
    assert!(text.contains("no/such/folder") && text.contains("folder exists"), "{text}");
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
    let again = migrate(&stage.database_url(), true).await.unwrap();
    assert_eq!((again.applied, again.seeded), (0, false));
    assert_eq!(stage.count("SELECT COUNT(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_new_database_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new().await;
    let _node = stage.node(stage.config()).await;
    stage.count("SELECT COUNT(*) FROM users").await;
    for entry in std::fs::read_dir(stage.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.file_name());
    }
}

#[tokio::test]
async fn many_processes_may_migrate_at_once() {
    let stage = Stage::new().await;
    let url = format!("sqlite:{}", stage.path().join("race.sqlite").display());
    let racers: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let url = url.clone();
                async move { migrate(&url, true).await }
            })
        })
        .collect();
    let mut seeded = 0;
    for racer in racers {
        seeded += usize::from(racer.await.unwrap().unwrap().seeded);
    }
    assert_eq!(seeded, 1);
}

#[test]
fn no_secret_in_debug_output() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let publisher = Publisher::new("http://127.0.0.1:9", credentials()).unwrap();
    let config = Config::new("sqlite:x", credentials(), publisher);
    assert!(!format!("{config:?}").contains("app-secret"));
}
