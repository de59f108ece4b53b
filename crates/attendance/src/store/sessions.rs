//! SQL of `sessions`: signed-in browsers, found by the SHA-256 of their cookie.

use std::time::Duration;

use super::{Store, query};
use crate::domain::{Stamp, User};

impl Store {
    pub(crate) async fn create_session(
        &self,
        id_hash: &str,
        user_id: i64,
        lifetime: Duration,
    ) -> Result<(), sqlx::Error> {
        query("INSERT INTO sessions (id_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)")
            .bind(id_hash)
            .bind(user_id)
            .bind(&Stamp::now())
            .bind(&Stamp::after(lifetime))
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    /// Whose session it is and when it ends as far as is known here; none that ended more than `lag` ago.
    pub(crate) async fn session(
        &self,
        id_hash: &str,
        lag: Duration,
    ) -> Result<Option<(User, Stamp)>, sqlx::Error> {
        let row = query(
            "SELECT users.*, sessions.expires_at FROM sessions JOIN users ON users.id = sessions.user_id
             WHERE sessions.id_hash = ? AND sessions.expires_at > ? AND users.deleted_at IS NULL",
        )
        .bind(id_hash)
        .bind(&Stamp::before(lag))
        .first(&mut self.reader().await?)
        .await?;
        row.map(|row| Ok((User::from_row(&row)?, row.stamp("expires_at")?))).transpose()
    }

    /// Moves the end of a session to `lifetime` from now, beside the request.
    pub(crate) fn note_session(&self, id_hash: &str, lifetime: Duration) {
        let (store, id_hash) = (self.clone(), id_hash.to_owned());
        self.note(async move { store.extend_session(&id_hash, lifetime).await });
    }

    pub(crate) async fn delete_session(&self, id_hash: &str) -> Result<(), sqlx::Error> {
        query("DELETE FROM sessions WHERE id_hash = ?")
            .bind(id_hash)
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    /// Removes sessions that ended more than `lag` ago.
    pub(crate) async fn sweep_sessions(&self, lag: Duration) -> Result<(), sqlx::Error> {
        query("DELETE FROM sessions WHERE expires_at <= ?")
            .bind(&Stamp::before(lag))
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }

    async fn extend_session(&self, id_hash: &str, lifetime: Duration) -> Result<(), sqlx::Error> {
        query("UPDATE sessions SET expires_at = ? WHERE id_hash = ?")
            .bind(&Stamp::after(lifetime))
            .bind(id_hash)
            .execute(&mut self.writer().await?)
            .await
            .map(drop)
    }
}
