//! SQL of `idempotency_keys`: the first answer to a request that may be repeated.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::Tx;
use super::{Store, query, violates};
use crate::domain::Stamp;

/// How long an answer is kept. Clients retry within minutes.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Takes a key for the request at hand; what was answered before, if somebody had it already. Of two simultaneous
/// requests the second waits here until the first has ended.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    user_id: i64,
    key_hash: &str,
) -> Result<Option<String>, sqlx::Error> {
    let taken =
        query("INSERT INTO idempotency_keys (user_id, key_hash, answer, created_at) VALUES (?, ?, '', ?)")
            .bind(user_id)
            .bind(key_hash)
            .bind(&Stamp::now())
            .execute(&mut *tx)
            .await;
    match taken {
        Err(error) if violates(&error, "idempotency_keys") || violates(&error, "PRIMARY") => {}
        other => return other.map(|_| None),
    }
    let row = query("SELECT answer FROM idempotency_keys WHERE user_id = ? AND key_hash = ?")
        .bind(user_id)
        .bind(key_hash)
        .one(tx)
        .await?;
    row.text("answer").map(Some)
}

/// Keeps the answer to a request that took its key, in the transaction of what it tells.
pub(super) async fn remember(
    tx: &mut Tx<'_>,
    user_id: i64,
    key_hash: &str,
    answer: &str,
) -> Result<(), sqlx::Error> {
    query("UPDATE idempotency_keys SET answer = ? WHERE user_id = ? AND key_hash = ?")
        .bind(answer)
        .bind(user_id)
        .bind(key_hash)
        .execute(tx)
        .await
        .map(drop)
}

impl Store {
    /// Removes answers that nobody will ask for any more.
    pub(crate) async fn sweep_answers(&self) -> Result<(), sqlx::Error> {
        query("DELETE FROM idempotency_keys WHERE created_at < ?")
            .bind(&Stamp::from(Timestamp::now() - KEPT))
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }
}
