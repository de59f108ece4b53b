//! What went wrong in the database: whether it may pass, whether to try again, and what a constraint refused.

use std::time::{Duration, Instant};

use sqlx::mysql::MySqlDatabaseError;
use tokio::time::sleep;

use super::engine::PATIENCE;

/// Numbers of MySQL and MariaDB for a transaction that lost against another: deadlock, lock wait timeout.
const LOST: [u16; 2] = [1213, 1205];
/// Numbers for a server that is full, starting, stopping, or that ended our connection.
const AWAY: [u16; 8] = [1040, 1053, 1077, 1152, 1203, 1226, 1927, 3169];

/// How often and for how long a transaction that lost against another is begun anew.
#[derive(Debug)]
pub(super) struct Attempts {
    left: u32,
    until: Instant,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { left: 5, until: Instant::now() + PATIENCE }
    }

    /// Whether to try again, after a moment that differs, so that the two do not meet again.
    pub(super) async fn again(&mut self, error: &sqlx::Error) -> bool {
        self.left = self.left.saturating_sub(1);
        let is_worth_it = self.left > 0 && Instant::now() < self.until;
        if !is_worth_it || !number(error).is_some_and(|number| LOST.contains(&number)) {
            return false;
        }
        sleep(Duration::from_millis(u64::from(getrandom::u32().unwrap_or_default() % 50))).await;
        true
    }
}

/// Whether the same statement would probably work a moment later: the database is away, full, or was held up.
pub(crate) fn may_pass(error: &sqlx::Error) -> bool {
    if let Some(number) = number(error) {
        return LOST.contains(&number) || AWAY.contains(&number);
    }
    // SQLITE_BUSY and its extended forms.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)
        || matches!(code.as_deref(), Some("5" | "261" | "517" | "773"))
}

/// The number of an error of MySQL or MariaDB.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

/// Whether a statement failed on the unique index of this column. SQLite names the column, MySQL the index, which is
/// called after it; both after the name of the table.
pub(super) fn violates(error: &sqlx::Error, column: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.message().contains(column))
}
