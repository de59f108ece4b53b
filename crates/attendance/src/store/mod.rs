//! All SQL of the attendance system, for SQLite and for MySQL or MariaDB. The schema, which is read first, is in
//! `migrations/`.
//!
//! Each statement is written once (`query.rs`) and runs on whichever database there is (`engine.rs`). `sqlite.rs` and
//! `mysql.rs` open one, `failure.rs` judges its errors.

mod attendances;
mod corrections;
mod engine;
mod failed;
mod failure;
mod idempotency;
mod migrate;
mod mysql;
mod outbox;
mod query;
mod records;
mod search;
mod sessions;
mod sqlite;
mod tokens;
mod tries;
mod users;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub(crate) use attendances::{CheckIn, CheckedIn, Writer};
pub(crate) use corrections::Outcome as CorrectionOutcome;
use engine::{Connection, Pool, Tx};
pub use failed::{FailedJob, FailedJobs};
pub(crate) use failure::may_pass;
use failure::{Attempts, violates};
pub use migrate::{Migrated, migrate};
pub(crate) use outbox::{Among, Claim, Job};
use query::{Row, query};
pub(crate) use records::{By, Filter, Summary, Totals};
pub(crate) use users::{NewUser, Unchanged, UserChange};

use crate::bell::Bell;
use crate::database::Database;
use crate::error::StartError;

/// Notes under way at once; while the writer is held up, further ones are left to later requests.
const NOTES: usize = 64;

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    read: Pool,
    write: Pool,
    notes: Arc<Semaphore>,
    bell: Bell,
}

impl Store {
    /// Opens a database and applies the migrations that it lacks.
    ///
    /// # Errors
    /// One sentence that names cause and fix.
    pub(crate) async fn open(database: &Database) -> Result<Self, StartError> {
        migrate::open(database, false).await.map(|(store, _)| store)
    }

    async fn connect(database: &Database, create: bool) -> Result<Self, StartError> {
        let (read, write) = match database {
            Database::Sqlite(path) => {
                let (read, write) = sqlite::open(path, create).await?;
                (Pool::Sqlite(read), Pool::Sqlite(write))
            }
            Database::MySql(server) => {
                let pool = Pool::MySql(mysql::open(server).await?);
                (pool.clone(), pool)
            }
        };
        Ok(Self { read, write, notes: Arc::new(Semaphore::new(NOTES)), bell: Bell::default() })
    }

    /// The same database; commits that add an event ring this bell.
    pub(crate) fn ringing(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    /// What commits ring.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// A connection for reading.
    async fn reader(&self) -> Result<Connection, sqlx::Error> {
        self.read.acquire().await
    }

    /// A connection for a single statement that writes.
    async fn writer(&self) -> Result<Connection, sqlx::Error> {
        self.write.acquire().await
    }

    async fn begin(&self) -> Result<Tx<'static>, sqlx::Error> {
        self.write.begin(self.bell.clone()).await
    }

    /// The writing connection for the worker's notes about who has which row: they need not survive a power cut, since
    /// an event that goes out twice is recognised by its id. On SQLite that saves two of three waits for the disk per
    /// event. The connection is durable again when it is next acquired.
    async fn relaxed(&self) -> Result<Connection, sqlx::Error> {
        let mut connection = self.writer().await?;
        if let Connection::Sqlite(_) = connection {
            query("PRAGMA synchronous = NORMAL").execute(&mut connection).await?;
        }
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

    /// A cheap sign of life, from the tables themselves.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        query("SELECT id FROM users LIMIT 1").first(&mut self.reader().await?).await.map(drop)
    }

    /// How many connections are open, and how many of them idle.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let (open, idle) = self.read.connections();
        match &self.write {
            // The same pool.
            Pool::MySql(_) => (open, idle),
            Pool::Sqlite(_) => (open + self.write.connections().0, idle + self.write.connections().1),
        }
    }

    /// How many statements and attempts to connect have failed in this process.
    pub(crate) fn errors(&self) -> u64 {
        engine::errors()
    }

    /// Waits for what is running; SQLite then folds its write-ahead log back into the database file.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn synchronous(on: impl Into<engine::Link<'_>>) -> i64 {
        query("PRAGMA synchronous").one(on).await.unwrap().integer("synchronous").unwrap()
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_durable_also_after_the_workers_notes() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("x.sqlite"));
        migrate(&database, false).await.unwrap();
        let store = Store::open(&database).await.unwrap();
        assert_eq!(synchronous(&mut store.relaxed().await.unwrap()).await, 1);
        assert_eq!(synchronous(&mut store.begin().await.unwrap()).await, 2);
    }
}
