//! Opens a database file of SQLite.
//!
//! SQLite has one writer at a time. So there is one connection for writing, for which tasks queue in memory and in
//! order, and several for reading, which never wait for it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqliteConnection};

use super::engine::PATIENCE;
use crate::error::StartError;

/// Enough for a node's requests; a reader is busy for microseconds.
const READERS: u32 = 4;

/// Opens the readers and the writer.
pub(super) async fn open(path: &Path, create: bool) -> Result<(SqlitePool, SqlitePool), StartError> {
    if create {
        make_private(path);
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged check-in survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .foreign_keys(true);
    let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(PATIENCE);
    // The writer comes first: it is the one that cannot do with a read-only folder.
    let write = pool(1)
        .before_acquire(|connection, _| Box::pin(durable(connection)))
        .connect_with(options.clone())
        .await
        .map_err(|error| cannot_open(path, create, &error))?;
    Ok((pool(READERS).connect_lazy_with(options), write))
}

/// Makes the writing connection durable again; false if another must take its place. That is so after SQLite rolled a
/// transaction back by itself, as it does when the disk is full: sqlx would wait for its end for ever.
async fn durable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
    Ok(!connection.is_in_transaction())
}

/// Makes a new database file readable for its owner only, as it holds password hashes. SQLite gives the files beside it
/// the same mode. Where that fails, opening says why.
fn make_private(path: &Path) {
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
}

fn cannot_open(path: &Path, create: bool, error: &sqlx::Error) -> StartError {
    let fix = match error.as_database_error().and_then(|error| error.code()).as_deref() {
        // SQLITE_CANTOPEN and its extended forms.
        Some("14") if create => "check that its folder exists and that this user may write there",
        Some("14") => {
            "run `gema migrate` to create it, or check that this user may read and write it and its folder"
        }
        // SQLITE_READONLY and its extended forms.
        Some("8" | "264" | "520" | "776" | "1032" | "1288" | "1544") => {
            "let this user write to the file and its folder"
        }
        Some("26") => "the file is something else than a SQLite database; give another path",
        _ => "see the cause for what to change",
    };
    StartError::Database(format!("the database `{}` cannot be opened ({error}): {fix}", path.display()))
}
