//! What is so with a SQLite file only: the file itself, its one writer, transactions that it ends by itself.

use gema_attendance::{Config, Database, StartError, migrate};
use gema_client::Publisher;

use crate::kit::{Kit, Stage, credentials, sqlite};
use crate::start::failure;

fn config(stage: &Stage, file: &str) -> Config {
    let publisher = Publisher::new("http://127.0.0.1:9", credentials()).unwrap();
    Config::new(Database::Sqlite(stage.path().join(file)), credentials(), publisher)
}

#[tokio::test]
async fn a_database_that_was_never_made_names_the_command() {
    let stage = Stage::new().await;
    let text = failure(config(&stage, "new.sqlite")).await;
    assert!(text.contains("new.sqlite") && text.contains("`gema migrate`"), "{text}");
    assert!(!stage.path().join("new.sqlite").exists());
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
    let database = Database::Sqlite(stage.path().join("no/such/folder/x.sqlite"));
    let Err(StartError::Database(text)) = migrate(&database, false).await else { panic!("it worked") };
    assert!(text.contains("no/such/folder") && text.contains("folder exists"), "{text}");
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
async fn the_database_never_holds_the_token_itself() {
    let Kit { stage, node } = Kit::start().await;
    let token = node.admin().await;
    node.stop().await;
    for entry in std::fs::read_dir(stage.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}

#[tokio::test]
async fn a_held_up_writer_neither_delays_nor_fails_reading() {
    let Kit { stage, node } = Kit::start().await;
    let token = node.admin().await;
    let mut other = sqlite(&stage.path().join("gema.sqlite")).await;
    sqlx::query("UPDATE tokens SET last_used_at = '2020-01-01 00:00:00.000000'")
        .execute(&mut other)
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    // Their uses cannot be noted now; that is no reason to turn anybody away.
    for path in ["/api/user", "/api/attendances", "/api/users"] {
        assert_eq!(node.get(path).bearer(&token).send().await.status, 200, "{path}");
    }
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_gave_up_harms_no_later_one() {
    let Kit { stage, node } = Kit::start().await;
    let (_, token) = node.employee("Sari").await;
    // A full disk ends a transaction like this, too: SQLite rolls it back by itself.
    let trigger = "CREATE TRIGGER full AFTER INSERT ON outbox BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
    stage.sql(trigger).await;
    assert_eq!(node.post("/api/attendances/check-in").bearer(&token).send().await.status, 500);
    stage.sql("DROP TRIGGER full").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    stage.drained().await;
}
