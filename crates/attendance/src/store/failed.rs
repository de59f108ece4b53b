//! SQL of `failed_jobs`: events that were refused for good. What `gema queue` does.

use super::{Row, Store, query};
use crate::bell::Bell;
use crate::config::{Queue, RedisConfig};
use crate::database::Database;
use crate::domain::Stamp;
use crate::error::StartError;
use crate::queue::{List, Teller};
use crate::redis::Redis;

/// The events that failed for good, for the person who looks after them.
#[derive(Debug)]
pub struct FailedJobs {
    store: Store,
    teller: Option<Teller>,
}

/// An event that was refused for good.
#[derive(Debug, Clone)]
pub struct FailedJob {
    /// Names it for [`FailedJobs::retry`].
    pub id: i64,
    /// The record it tells about.
    pub attendance_id: i64,
    /// Name of the event.
    pub event: String,
    /// UUID of the event, the same in every retry.
    pub event_id: String,
    /// Why it was refused the last time.
    pub error: String,
    /// When, in UTC.
    pub failed_at: String,
}

impl FailedJobs {
    /// Opens the database. Whoever works on this queue hears of what is put back.
    ///
    /// # Errors
    /// [`StartError`], one sentence that names cause and fix.
    pub async fn open(
        database: &Database,
        queue: Queue,
        redis: Option<&RedisConfig>,
    ) -> Result<Self, StartError> {
        let store = Store::open(database).await?;
        let link = redis.cloned().map(Redis::start);
        let (list, teller) = List::of(queue, redis, link.as_ref()).map(Teller::start).unzip();
        Ok(Self { store: store.ringing(Bell { list, ..Bell::default() }), teller })
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self) -> Result<Vec<FailedJob>, StartError> {
        let rows = self.store.failed_jobs().await?;
        rows.iter().map(FailedJob::from_row).collect::<Result<_, _>>().map_err(StartError::from)
    }

    /// Puts one back into the queue, with all of its tries and the same event id. False when there is none of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn retry(&self, id: i64) -> Result<bool, StartError> {
        Ok(self.store.retry_failed(id).await?)
    }

    /// Forgets all of them; how many there were.
    ///
    /// # Errors
    /// What the database says.
    pub async fn flush(&self) -> Result<u64, StartError> {
        Ok(self.store.flush_failed().await?)
    }

    /// Closes the database, once workers have heard of what was put back, if they can.
    pub async fn close(self) {
        self.store.close().await;
        drop(self.store);
        if let Some(teller) = self.teller {
            teller.end().await;
        }
    }
}

impl Store {
    async fn failed_jobs(&self) -> Result<Vec<Row>, sqlx::Error> {
        query("SELECT id, attendance_id, event, event_id, error, failed_at FROM failed_jobs ORDER BY id")
            .all(&mut self.reader().await?)
            .await
    }

    async fn retry_failed(&self, id: i64) -> Result<bool, sqlx::Error> {
        let mut tx = self.begin().await?;
        let now = Stamp::now();
        let added = query(
            "INSERT INTO outbox (attendance_id, user_id, event, event_id, public_data, private_data, created_at,
                                 available_at)
             SELECT attendance_id, user_id, event, event_id, public_data, private_data, created_at, ?
             FROM failed_jobs WHERE id = ?",
        )
        .bind(&now)
        .bind(id)
        .execute(&mut tx)
        .await?;
        if added.rows > 0 {
            tx.added.push(added.id);
        }
        query("DELETE FROM failed_jobs WHERE id = ?").bind(id).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(added.rows > 0)
    }

    async fn flush_failed(&self) -> Result<u64, sqlx::Error> {
        query("DELETE FROM failed_jobs").execute(&mut self.writer().await?).await.map(|done| done.rows)
    }
}

impl FailedJob {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.integer("id")?,
            attendance_id: row.integer("attendance_id")?,
            event: row.text("event")?,
            event_id: row.text("event_id")?,
            error: row.text("error")?,
            failed_at: row.text("failed_at")?,
        })
    }
}
