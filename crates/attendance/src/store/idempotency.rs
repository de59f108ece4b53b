//! SQL of `idempotency_keys`: the first answer to a request that may be repeated.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::Store;
use crate::domain::Stamp;

/// How long an answer is kept. Clients retry within minutes.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What was answered to this key before, if anything.
pub(super) async fn first_answer(
    tx: &mut SqliteConnection,
    user_id: i64,
    key_hash: &str,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("SELECT answer FROM idempotency_keys WHERE user_id = ? AND key_hash = ?")
        .bind(user_id)
        .bind(key_hash)
        .fetch_optional(tx)
        .await?;
    row.map(|row| row.try_get("answer")).transpose()
}

/// Keeps an answer, in the transaction of what it tells.
pub(super) async fn remember(
    tx: &mut SqliteConnection,
    user_id: i64,
    key_hash: &str,
    answer: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO idempotency_keys (user_id, key_hash, answer, created_at) VALUES (?, ?, ?, ?)")
        .bind(user_id)
        .bind(key_hash)
        .bind(answer)
        .bind(Stamp::now().as_str())
        .execute(tx)
        .await
        .map(drop)
}

impl Store {
    /// Removes answers that nobody will ask for any more.
    pub(crate) async fn sweep_answers(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM idempotency_keys WHERE created_at < ?")
            .bind(Stamp::from(Timestamp::now() - KEPT).as_str())
            .execute(&self.write)
            .await
            .map(drop)
    }
}
