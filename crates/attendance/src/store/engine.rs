//! The two databases behind one face: pools, connections and transactions. How each is opened is in `sqlite.rs` and
//! `mysql.rs`, what is said to them in `query.rs`.

use std::io::{Error as IoError, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, MySql, MySqlConnection, MySqlPool, Sqlite, SqliteConnection, Transaction};
use tokio::time::timeout;

use crate::bell::Bell;

/// How long a request waits for the database: for a lock, for another process that writes, for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Takes the write lock of SQLite at once: a transaction that gets it cannot fail half-way because somebody else wrote
/// after it had read.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Open connections, shared by all clones.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

/// A connection from the pool, for statements that stand alone.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    MySql(PoolConnection<MySql>),
}

/// A transaction; rolled back unless it is committed.
#[derive(Debug)]
pub(super) struct Tx<'c> {
    begun: Begun<'c>,
    /// Rung by the commit, so that no change can forget it.
    bell: Bell,
    /// The rows that this transaction adds to the outbox.
    pub(super) added: Vec<i64>,
}

#[derive(Debug)]
enum Begun<'c> {
    Sqlite(Transaction<'c, Sqlite>),
    MySql(Transaction<'c, MySql>),
}

/// Where a statement runs.
pub(super) enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    MySql(&'a mut MySqlConnection),
}

impl Pool {
    pub(super) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.acquire().await.map(Connection::Sqlite),
            Self::MySql(pool) => pool.acquire().await.map(Connection::MySql),
        }
        .map_err(counted)
    }

    /// How many connections are open, and how many of them idle.
    pub(super) fn connections(&self) -> (usize, usize) {
        let (open, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Self::MySql(pool) => (pool.size(), pool.num_idle()),
        };
        (usize::try_from(open).unwrap_or(usize::MAX), idle)
    }

    pub(super) async fn begin(&self, bell: Bell) -> Result<Tx<'static>, sqlx::Error> {
        let begun = match self {
            Self::Sqlite(pool) => Begun::Sqlite(pool.begin_with(BEGIN).await.map_err(counted)?),
            Self::MySql(pool) => Begun::MySql(bounded(pool.begin()).await.map_err(counted)?),
        };
        Ok(Tx { begun, bell, added: Vec::new() })
    }

    /// The time between `check_in` and `check_out`, summed up over the rows of a group.
    pub(super) fn microseconds_worked(&self) -> &'static str {
        match self {
            // Times are text; the seconds end at the 19th character, the microseconds begin at the 21st.
            Self::Sqlite(_) => {
                "COALESCE(SUM((unixepoch(substr(check_out, 1, 19)) - unixepoch(substr(check_in, 1, 19))) * 1000000
                    + substr(check_out, 21) - substr(check_in, 21)), 0)"
            }
            Self::MySql(_) => {
                "CAST(COALESCE(SUM(TIMESTAMPDIFF(MICROSECOND, check_in, check_out)), 0) AS SIGNED)"
            }
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }
}

impl Connection {
    /// For transactions that add no event.
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>, sqlx::Error> {
        let begun = match self {
            Self::Sqlite(connection) => Begun::Sqlite(connection.begin_with(BEGIN).await.map_err(counted)?),
            Self::MySql(connection) => Begun::MySql(bounded(connection.begin()).await.map_err(counted)?),
        };
        Ok(Tx { begun, bell: Bell::default(), added: Vec::new() })
    }
}

impl Tx<'_> {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.begun {
            Begun::Sqlite(tx) => tx.commit().await,
            Begun::MySql(tx) => bounded(tx.commit()).await,
        }
        .map_err(counted)?;
        self.bell.ring(&self.added).await;
        Ok(())
    }

    /// The end of a SELECT whose rows this transaction will change. SQLite has one writer, who has locked all already.
    pub(super) fn for_update(&self) -> &'static str {
        match self.begun {
            Begun::Sqlite(_) => "",
            Begun::MySql(_) => " FOR UPDATE",
        }
    }

    /// As [`Tx::for_update`], without the rows that somebody else is about to change.
    pub(super) fn for_update_of_free(&self) -> &'static str {
        match self.begun {
            Begun::Sqlite(_) => "",
            Begun::MySql(_) => " FOR UPDATE SKIP LOCKED",
        }
    }
}

impl<'a> From<&'a mut Connection> for Link<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        match connection {
            Connection::Sqlite(connection) => Self::Sqlite(connection),
            Connection::MySql(connection) => Self::MySql(connection),
        }
    }
}

impl<'a> From<&'a mut Tx<'_>> for Link<'a> {
    fn from(tx: &'a mut Tx<'_>) -> Self {
        match &mut tx.begun {
            Begun::Sqlite(tx) => Self::Sqlite(tx),
            Begun::MySql(tx) => Self::MySql(tx),
        }
    }
}

/// What the database has failed since this process began; it has one database.
static ERRORS: AtomicU64 = AtomicU64::new(0);

/// Takes note of an error. A value that exists already is an answer and none.
pub(super) fn counted(error: sqlx::Error) -> sqlx::Error {
    if !error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        ERRORS.fetch_add(1, Ordering::Relaxed);
    }
    error
}

/// How many there were.
pub(super) fn errors() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

/// A server across a network may never answer. The connection that was given up is closed when it comes back to the
/// pool (see `mysql.rs`).
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let silence = || IoError::new(ErrorKind::TimedOut, "the database server does not answer");
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(silence().into()))
}
