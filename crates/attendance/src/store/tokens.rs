//! SQL of `tokens`: bearer tokens, found by their SHA-256.

use std::time::Duration;

use super::{Store, query};
use crate::domain::{Stamp, User};

/// `last_used_at` is no more exact than this, so that reading does not become writing.
const USE_RESOLUTION: Duration = Duration::from_secs(60);

impl Store {
    pub(crate) async fn create_token(&self, user_id: i64, token_hash: &str) -> Result<(), sqlx::Error> {
        query("INSERT INTO tokens (user_id, token_hash, created_at) VALUES (?, ?, ?)")
            .bind(user_id)
            .bind(token_hash)
            .bind(&Stamp::now())
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    /// Whose token it is; its use is noted beside.
    pub(crate) async fn user_by_token(&self, token_hash: &str) -> Result<Option<User>, sqlx::Error> {
        let row = query(
            "SELECT users.*, tokens.last_used_at FROM tokens JOIN users ON users.id = tokens.user_id
             WHERE tokens.token_hash = ? AND users.deleted_at IS NULL",
        )
        .bind(token_hash)
        .first(&mut self.reader().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let last_used = row.maybe("last_used_at")?;
        if last_used.is_none_or(|at| at.as_str() < Stamp::before(USE_RESOLUTION).as_str()) {
            let (store, token_hash) = (self.clone(), token_hash.to_owned());
            self.note(async move { store.touch_token(&token_hash).await });
        }
        User::from_row(&row).map(Some)
    }

    pub(crate) async fn delete_token(&self, token_hash: &str) -> Result<(), sqlx::Error> {
        query("DELETE FROM tokens WHERE token_hash = ?")
            .bind(token_hash)
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    async fn touch_token(&self, token_hash: &str) -> Result<(), sqlx::Error> {
        query("UPDATE tokens SET last_used_at = ? WHERE token_hash = ?")
            .bind(&Stamp::now())
            .bind(token_hash)
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }
}
