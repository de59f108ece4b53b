//! All SQL of the attendance system. The schema, which is read first, is in `migrations/`.
//!
//! SQLite has one writer at a time. So there is one connection for writing, for which tasks queue in memory and in
//! order, and several for reading, which never wait for it.

mod attendances;
mod migrate;
mod outbox;
mod sessions;
mod tokens;
mod users;

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

pub(crate) use attendances::{CheckIn, Filter, Writer};
pub use migrate::{Migrated, migrate};
pub(crate) use outbox::{Claim, Job};
pub(crate) use users::NewUser;

use crate::error::StartError;

/// Enough for a node's requests; a reader is busy for microseconds.
const READERS: u32 = 4;
/// How long another process (a worker, a backup) may hold the write lock before a request fails.
const BUSY: Duration = Duration::from_secs(10);

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    read: SqlitePool,
    write: SqlitePool,
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
        let options = options
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged check-in survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(BUSY);
        // The writer comes first: it is the one that cannot do with a read-only folder.
        let write = pool(1).connect_with(options.clone()).await.map_err(|error| cannot_open(url, &error))?;
        Ok(Self { read: pool(READERS).connect_lazy_with(options), write })
    }

    /// A transaction that holds the write lock from its start: it cannot fail half-way because somebody else wrote
    /// after it had read.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// A cheap sign of life.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.read).await.map(drop)
    }

    /// Waits for what is running and folds the write-ahead log back into the database file.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn cannot_open(url: &str, error: &sqlx::Error) -> StartError {
    let fix = match error.as_database_error().and_then(|error| error.code()).as_deref() {
        // SQLITE_CANTOPEN and its extended forms.
        Some("14") => {
            "run `gema migrate` if the file does not exist yet; otherwise check that its folder exists and that this \
             user may write there"
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
