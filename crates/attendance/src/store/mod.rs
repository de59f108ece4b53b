//! All SQL of the attendance system. The schema, which is read first, is in `migrations/`.
//!
//! SQLite has one writer at a time. So there is one connection for writing, for which tasks queue in memory and in
//! order, and several for reading, which never wait for it.

mod attendances;
mod idempotency;
mod migrate;
mod outbox;
mod sessions;
mod tokens;
mod users;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Semaphore;

pub(crate) use attendances::{CheckIn, CheckedIn, Filter, Summary, Writer};
pub use migrate::{Migrated, migrate};
pub(crate) use outbox::{Claim, Job};
pub(crate) use users::NewUser;

use crate::error::StartError;

/// Enough for a node's requests; a reader is busy for microseconds.
const READERS: u32 = 4;
/// How long another process (a worker, a backup) may hold the write lock before a request fails.
const BUSY: Duration = Duration::from_secs(10);
/// Notes under way at once; while the writer is held up, further ones are left to later requests.
const NOTES: usize = 64;

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    read: SqlitePool,
    write: SqlitePool,
    notes: Arc<Semaphore>,
}

impl Store {
    /// Opens a database that `migrate` has made.
    ///
    /// # Errors
    /// One sentence that names cause and fix.
    pub(crate) async fn open(url: &str) -> Result<Self, StartError> {
        let store = Self::connect(url, false).await?;
        migrate::check(&store, url).await?;
        Ok(store)
    }

    async fn connect(url: &str, create: bool) -> Result<Self, StartError> {
        let options = SqliteConnectOptions::from_str(url).map_err(|error| {
            StartError::Database(format!("the database address `{url}` is not like sqlite:PATH: {error}"))
        })?;
        if create {
            make_private(options.get_filename());
        }
        let options = options
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged check-in survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(BUSY);
        // The writer comes first: it is the one that cannot do with a read-only folder.
        let write = pool(1)
            .before_acquire(|connection, _| Box::pin(durable(connection)))
            .connect_with(options.clone())
            .await
            .map_err(|error| cannot_open(url, create, &error))?;
        let read = pool(READERS).connect_lazy_with(options);
        Ok(Self { read, write, notes: Arc::new(Semaphore::new(NOTES)) })
    }

    /// A transaction that holds the write lock from its start: it cannot fail half-way because somebody else wrote
    /// after it had read.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// The writing connection for the worker's notes about who has which row: they need not survive a power cut, since
    /// an event that goes out twice is recognised by its id. Saves two of three waits for the disk per event. The
    /// connection is durable again when it is next acquired.
    async fn relaxed(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.write.acquire().await?;
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
        Ok(connection)
    }

    /// Writes what is only nice to know beside the request: nobody who reads waits for the writer or fails with it.
    fn note(&self, note: impl Future<Output = Result<(), sqlx::Error>> + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.notes).try_acquire_owned() else { return };
        tokio::spawn(async move {
            if let Err(error) = note.await {
                tracing::warn!(%error, "When a sign-in was last used could not be written down");
            }
            drop(permit);
        });
    }

    /// A cheap sign of life, from the file itself.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT id FROM users LIMIT 1").execute(&self.read).await.map(drop)
    }

    /// Waits for what is running and folds the write-ahead log back into the database file.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
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

/// Whether a statement failed only because somebody else was writing for too long.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and its extended forms.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(error, sqlx::Error::PoolTimedOut) || matches!(code.as_deref(), Some("5" | "261" | "517" | "773"))
}

fn cannot_open(url: &str, create: bool, error: &sqlx::Error) -> StartError {
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
    StartError::Database(format!("the database `{url}` cannot be opened ({error}): {fix}"))
}

/// Whether a statement failed on the given unique index (SQLite names its column, MySQL the index itself).
fn violates(error: &sqlx::Error, column: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.message().contains(column))
}

/// A stored text that is none of the values its CHECK constraint permits.
fn unexpected(column: &str, value: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: format!("unexpected `{value}`").into() }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    async fn synchronous(connection: &mut SqliteConnection) -> i64 {
        sqlx::query("PRAGMA synchronous").fetch_one(connection).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_durable_also_after_the_workers_notes() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("x.sqlite").display());
        migrate(&url, false).await.unwrap();
        let store = Store::open(&url).await.unwrap();
        assert_eq!(synchronous(&mut store.relaxed().await.unwrap()).await, 1);
        assert_eq!(synchronous(&mut store.begin().await.unwrap()).await, 2);
    }
}
