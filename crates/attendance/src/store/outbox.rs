//! SQL of `outbox`: claiming with a lease, and the three ways a job ends. Used by `worker.rs`.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::Link;
use super::{Attempts, Row, Store, Tx, query};
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
    pub among: Among<'a>,
}

/// How much waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    /// Rows of the outbox.
    pub waiting: i64,
    /// Age of the oldest of them; none, if there is none.
    pub oldest: Duration,
    /// Rows of `failed_jobs`.
    pub failed: i64,
}

/// Which rows of the outbox are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Among<'a> {
    All,
    Ids(&'a [i64]),
}

/// How often a worker looks for other rows when those it wanted were taken before its eyes.
const ROUNDS: u32 = 5;

/// Adds an event within the transaction of its change.
pub(super) async fn add(tx: &mut Tx<'_>, event: &Event) -> Result<(), sqlx::Error> {
    let now = Stamp::now();
    let added = query(
        "INSERT INTO outbox (attendance_id, user_id, event, event_id, public_data, private_data, created_at,
                             available_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(event.attendance_id)
    .bind(event.user_id)
    .bind(event.kind.name())
    .bind(&event.event_id.to_string())
    .bind(&event.public_data)
    .bind(&event.private_data)
    .bind(&now)
    .bind(&now)
    .execute(&mut *tx)
    .await?;
    tx.added.push(added.id);
    Ok(())
}

impl Store {
    /// Takes the oldest rows that are due and free. A row whose attendance has an older unfinished one is not free,
    /// which keeps the order per attendance with any number of workers.
    pub(crate) async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Job>, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_claim(claim).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_claim(&self, claim: Claim<'_>) -> Result<Vec<Job>, sqlx::Error> {
        let mut connection = self.relaxed().await?;
        let mut tx = connection.begin().await?;
        for _ in 0..ROUNDS {
            let ids = candidates(&mut tx, claim.among, 0, claim.limit).await?;
            if ids.is_empty() {
                break;
            }
            let jobs = lease(&mut tx, &ids, claim).await?;
            if !jobs.is_empty() {
                tx.commit().await?;
                return Ok(jobs);
            }
            // Other workers had the same in mind and were first.
        }
        Ok(Vec::new())
    }

    /// The ids of rows that could be claimed now, oldest first, from the one after `after` on.
    pub(crate) async fn claimable(&self, after: i64, limit: usize) -> Result<Vec<i64>, sqlx::Error> {
        candidates(&mut self.reader().await?, Among::All, after, limit).await
    }

    /// How much waits, for whoever looks after it.
    pub(crate) async fn backlog(&self) -> Result<Backlog, sqlx::Error> {
        let row = query(
            "SELECT (SELECT COUNT(*) FROM outbox) AS waiting, (SELECT MIN(created_at) FROM outbox) AS oldest,
                    (SELECT COUNT(*) FROM failed_jobs) AS failed",
        )
        .one(&mut self.reader().await?)
        .await?;
        let oldest = row.maybe("oldest")?.and_then(|text| Stamp::from_stored(text).timestamp());
        let age = oldest.map(|then| Timestamp::now().duration_since(then));
        Ok(Backlog {
            waiting: row.integer("waiting")?,
            oldest: age.and_then(|age| age.try_into().ok()).unwrap_or_default(),
            failed: row.integer("failed")?,
        })
    }

    /// The oldest unfinished row of a record, whether it could be claimed or not.
    pub(crate) async fn oldest_of(&self, attendance_id: i64) -> Result<Option<i64>, sqlx::Error> {
        let row = query("SELECT id FROM outbox WHERE attendance_id = ? ORDER BY id LIMIT 1")
            .bind(attendance_id)
            .first(&mut self.reader().await?)
            .await?;
        row.map(|row| row.integer("id")).transpose()
    }

    /// Keeps a row in hand for longer.
    pub(crate) async fn renew(&self, job: &Job, lease: Duration) -> Result<(), sqlx::Error> {
        query("UPDATE outbox SET leased_until = ? WHERE id = ? AND lease_owner = ?")
            .bind(&Stamp::after(lease))
            .bind(job.id)
            .bind(&job.owner)
            .execute(&mut self.relaxed().await?)
            .await
            .map(drop)
    }

    /// The event is out: the row has done its work.
    pub(crate) async fn finish(&self, job_id: i64) -> Result<(), sqlx::Error> {
        query("DELETE FROM outbox WHERE id = ?")
            .bind(job_id)
            .execute(&mut self.relaxed().await?)
            .await
            .map(drop)
    }

    /// Puts a row back until `pause` from now, with its counters as they are in `job`.
    pub(crate) async fn put_back(&self, job: &Job, pause: Duration) -> Result<(), sqlx::Error> {
        query(
            "UPDATE outbox SET attempts = ?, postponed = ?, available_at = ?, lease_owner = NULL,
                               leased_until = NULL
             WHERE id = ? AND lease_owner = ?",
        )
        .bind(job.attempts)
        .bind(job.postponed)
        .bind(&Stamp::after(pause))
        .bind(job.id)
        .bind(&job.owner)
        .execute(&mut self.relaxed().await?)
        .await
        .map(drop)
    }

    /// Makes rows due that only waited for the broadcast server to come back.
    pub(crate) async fn hurry(&self) -> Result<(), sqlx::Error> {
        query("UPDATE outbox SET available_at = ? WHERE postponed > 0 AND leased_until IS NULL")
            .bind(&Stamp::now())
            .execute(&mut self.relaxed().await?)
            .await
            .map(drop)
    }

    /// Moves a row to `failed_jobs`; it no longer holds up later ones.
    pub(crate) async fn give_up(&self, job: &Job, error: &str) -> Result<(), sqlx::Error> {
        let mut tx = self.begin().await?;
        let deleted = query("DELETE FROM outbox WHERE id = ? AND lease_owner = ?")
            .bind(job.id)
            .bind(&job.owner)
            .execute(&mut tx)
            .await?;
        if deleted.rows == 0 {
            return Ok(());
        }
        query(
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
        .bind(&Stamp::now())
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Frees all rows that a worker still has in hand, when it ends.
    pub(crate) async fn release(&self, owner: &str) -> Result<(), sqlx::Error> {
        query("UPDATE outbox SET lease_owner = NULL, leased_until = NULL WHERE lease_owner = ?")
            .bind(owner)
            .execute(&mut self.relaxed().await?)
            .await
            .map(drop)
    }
}

/// The oldest rows that are due and free, without taking them. What was free stays free of older rows: the events of an
/// attendance are committed in the order of their ids, since each change locks the record.
async fn candidates(
    on: impl Into<Link<'_>>,
    among: Among<'_>,
    after: i64,
    limit: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    let now = Stamp::now();
    let free = query(
        "SELECT id FROM outbox
         WHERE id > ? AND available_at <= ? AND (leased_until IS NULL OR leased_until <= ?)
           AND NOT EXISTS (SELECT 1 FROM outbox older
                           WHERE older.attendance_id = outbox.attendance_id AND older.id < outbox.id)",
    )
    .bind(after)
    .bind(&now)
    .bind(&now);
    let free = match among {
        Among::All => free,
        Among::Ids(ids) => free.push(" AND id IN ").push_list(ids),
    };
    let oldest = free.push(" ORDER BY id LIMIT ?").bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = oldest.all(on).await?;
    rows.iter().map(|row| row.integer("id")).collect()
}

/// Leases those of the rows that are free still.
async fn lease(tx: &mut Tx<'_>, ids: &[i64], claim: Claim<'_>) -> Result<Vec<Job>, sqlx::Error> {
    let now = Stamp::now();
    let rows =
        query("SELECT * FROM outbox WHERE available_at <= ? AND (leased_until IS NULL OR leased_until <= ?)")
            .bind(&now)
            .bind(&now)
            .push(" AND id IN ")
            .push_list(ids)
            .push(" ORDER BY id")
            .push(tx.for_update_of_free())
            .all(&mut *tx)
            .await?;
    let jobs: Vec<_> = rows.iter().map(|row| Job::from_row(row, claim.owner)).collect::<Result<_, _>>()?;
    let leased: Vec<_> = jobs.iter().map(|job| job.id).collect();
    query("UPDATE outbox SET lease_owner = ?, leased_until = ? WHERE id IN ")
        .bind(claim.owner)
        .bind(&Stamp::after(claim.lease))
        .push_list(&leased)
        .execute(tx)
        .await?;
    Ok(jobs)
}

impl Job {
    fn from_row(row: &Row, owner: &str) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.integer("id")?,
            attendance_id: row.integer("attendance_id")?,
            user_id: row.integer("user_id")?,
            event: row.text("event")?,
            event_id: row.text("event_id")?,
            public_data: row.text("public_data")?,
            private_data: row.text("private_data")?,
            attempts: row.integer("attempts")?,
            postponed: row.integer("postponed")?,
            created_at: row.text("created_at")?,
            owner: owner.to_owned(),
        })
    }
}
