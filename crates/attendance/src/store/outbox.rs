//! SQL of `outbox` and `failed_jobs`: claiming with a lease, and the three ways a job ends. Used by `worker.rs`.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, FromRow, Row, SqliteConnection};

use super::Store;
use crate::domain::{Event, Stamp};

/// An event that waits to be published.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub id: i64,
    pub attendance_id: i64,
    pub user_id: i64,
    pub event: String,
    pub event_id: String,
    pub public_data: String,
    pub private_data: String,
    /// Tries used up so far.
    pub attempts: i64,
    /// Failures so far that used up nothing.
    pub postponed: i64,
    created_at: String,
    /// The worker that claimed it. Whoever lost the row in the meantime (a process that was stopped for longer than
    /// its lease) must not touch it any more, except to say that the event is out.
    owner: String,
}

/// Who takes rows, how many at most, and for how long they are theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub owner: &'a str,
    pub limit: usize,
    pub lease: Duration,
}

/// Adds an event within the transaction of its change.
pub(super) async fn add(tx: &mut SqliteConnection, event: &Event) -> Result<(), sqlx::Error> {
    let now = Stamp::now();
    sqlx::query(
        "INSERT INTO outbox (attendance_id, user_id, event, event_id, public_data, private_data, created_at,
                             available_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(event.attendance_id)
    .bind(event.user_id)
    .bind(event.kind.name())
    .bind(event.event_id.to_string())
    .bind(&event.public_data)
    .bind(&event.private_data)
    .bind(now.as_str())
    .bind(now.as_str())
    .execute(tx)
    .await
    .map(drop)
}

impl Store {
    /// Takes the oldest rows that are due and free. A row whose attendance has an older unfinished one is not free,
    /// which keeps the order per attendance with any number of workers.
    pub(crate) async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Job>, sqlx::Error> {
        let now = Stamp::now();
        let until = Stamp::after(claim.lease);
        let mut connection = self.relaxed().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut jobs: Vec<Job> = sqlx::query_as(
            "SELECT * FROM outbox
             WHERE available_at <= ? AND (leased_until IS NULL OR leased_until <= ?)
               AND NOT EXISTS (SELECT 1 FROM outbox older
                               WHERE older.attendance_id = outbox.attendance_id AND older.id < outbox.id)
             ORDER BY id LIMIT ?",
        )
        .bind(now.as_str())
        .bind(now.as_str())
        .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
        for job in &mut jobs {
            claim.owner.clone_into(&mut job.owner);
            sqlx::query("UPDATE outbox SET lease_owner = ?, leased_until = ? WHERE id = ?")
                .bind(claim.owner)
                .bind(until.as_str())
                .bind(job.id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(jobs)
    }

    /// Keeps a row in hand for longer.
    pub(crate) async fn renew(&self, job: &Job, lease: Duration) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET leased_until = ? WHERE id = ? AND lease_owner = ?")
            .bind(Stamp::after(lease).as_str())
            .bind(job.id)
            .bind(&job.owner)
            .execute(&mut *self.relaxed().await?)
            .await
            .map(drop)
    }

    /// The event is out: the row has done its work.
    pub(crate) async fn finish(&self, job_id: i64) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(job_id)
            .execute(&mut *self.relaxed().await?)
            .await
            .map(drop)
    }

    /// Puts a row back until `pause` from now, with its counters as they are in `job`.
    pub(crate) async fn put_back(&self, job: &Job, pause: Duration) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE outbox SET attempts = ?, postponed = ?, available_at = ?, lease_owner = NULL,
                               leased_until = NULL
             WHERE id = ? AND lease_owner = ?",
        )
        .bind(job.attempts)
        .bind(job.postponed)
        .bind(Stamp::after(pause).as_str())
        .bind(job.id)
        .bind(&job.owner)
        .execute(&mut *self.relaxed().await?)
        .await
        .map(drop)
    }

    /// Makes rows due that only waited for the broadcast server to come back.
    pub(crate) async fn hurry(&self) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET available_at = ? WHERE postponed > 0 AND leased_until IS NULL")
            .bind(Stamp::now().as_str())
            .execute(&mut *self.relaxed().await?)
            .await
            .map(drop)
    }

    /// Moves a row to `failed_jobs`; it no longer holds up later ones.
    pub(crate) async fn give_up(&self, job: &Job, error: &str) -> Result<(), sqlx::Error> {
        let mut tx = self.begin().await?;
        let deleted = sqlx::query("DELETE FROM outbox WHERE id = ? AND lease_owner = ?")
            .bind(job.id)
            .bind(&job.owner)
            .execute(&mut *tx)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO failed_jobs (attendance_id, user_id, event, event_id, public_data, private_data, error,
                                      created_at, failed_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(job.attendance_id)
        .bind(job.user_id)
        .bind(&job.event)
        .bind(&job.event_id)
        .bind(&job.public_data)
        .bind(&job.private_data)
        .bind(error)
        .bind(&job.created_at)
        .bind(Stamp::now().as_str())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Frees all rows that a worker still has in hand, when it ends.
    pub(crate) async fn release(&self, owner: &str) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET lease_owner = NULL, leased_until = NULL WHERE lease_owner = ?")
            .bind(owner)
            .execute(&mut *self.relaxed().await?)
            .await
            .map(drop)
    }
}

impl FromRow<'_, SqliteRow> for Job {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            attendance_id: row.try_get("attendance_id")?,
            user_id: row.try_get("user_id")?,
            event: row.try_get("event")?,
            event_id: row.try_get("event_id")?,
            public_data: row.try_get("public_data")?,
            private_data: row.try_get("private_data")?,
            attempts: row.try_get("attempts")?,
            postponed: row.try_get("postponed")?,
            created_at: row.try_get("created_at")?,
            owner: String::new(),
        })
    }
}
