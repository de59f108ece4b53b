//! SQL of `attendances`. Each change writes its event to the outbox in the same transaction.

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Store, idempotency, outbox, unexpected, violates};
use crate::domain::{Attendance, Event, EventKind, Person, Stamp, Status};
use crate::error::Error;

const SELECT: &str = "SELECT attendances.*, users.name AS user_name, users.email AS user_email
    FROM attendances JOIN users ON users.id = attendances.user_id WHERE ";

/// Who makes a change, which decides what its event says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    pub node_id: u32,
    pub public_details: bool,
}

/// What a check-in stores.
#[derive(Debug)]
pub(crate) struct CheckIn {
    pub user_id: i64,
    pub date: String,
    pub at: Stamp,
    pub status: Status,
    pub notes: Option<String>,
    /// The caller's name for this request, hashed: a second request of the same name is a repeat.
    pub key_hash: Option<String>,
}

/// How a check-in ended.
#[derive(Debug)]
pub(crate) enum CheckedIn {
    Stored(Box<Attendance>),
    /// The same request was answered with this JSON before; nothing was changed.
    Repeated(String),
    /// The person has an open record of that day.
    AlreadyOpen,
}

/// Which records a list shows; what is `None` does not restrict it.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub user_id: Option<i64>,
    pub date: Option<String>,
    pub status: Option<Status>,
    pub open: bool,
    /// Only ids below this one.
    pub before: Option<i64>,
}

/// Figures of one day.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Local working day, `YYYY-MM-DD`.
    pub date: String,
    pub present: i64,
    pub late: i64,
    pub checked_out: i64,
    pub open: i64,
}

impl Store {
    /// Stores a check-in and its event, unless it is a repeat or the person has an open record of that day.
    pub(crate) async fn check_in(&self, new: &CheckIn, by: Writer) -> Result<CheckedIn, Error> {
        let mut tx = self.begin().await?;
        if let Some(key_hash) = &new.key_hash
            && let Some(answer) = idempotency::first_answer(&mut tx, new.user_id, key_hash).await?
        {
            return Ok(CheckedIn::Repeated(answer));
        }
        let id = match insert(&mut tx, new, by.node_id).await {
            Err(error) if violates(&error, "open_key") => return Ok(CheckedIn::AlreadyOpen),
            other => other?,
        };
        let attendance = announce(&mut tx, EventKind::Created, id, by).await?;
        if let Some(key_hash) = &new.key_hash {
            let answer = serde_json::to_string(&attendance)
                .map_err(|error| Error::Internal(format!("answer of attendance {id}: {error}")))?;
            idempotency::remember(&mut tx, new.user_id, key_hash, &answer).await?;
        }
        tx.commit().await?;
        Ok(CheckedIn::Stored(Box::new(attendance)))
    }

    /// Closes the newest open record of a person, of whatever day, and stores its event; `None` when there is none.
    pub(crate) async fn check_out(&self, user_id: i64, by: Writer) -> Result<Option<Attendance>, Error> {
        let mut tx = self.begin().await?;
        let Some(id) = newest_open(&mut tx, user_id).await? else { return Ok(None) };
        let now = Stamp::now();
        sqlx::query(
            "UPDATE attendances SET check_out = ?, updated_at = ?, version = version + 1
             WHERE id = ? AND check_out IS NULL",
        )
        .bind(now.as_str())
        .bind(now.as_str())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        let attendance = announce(&mut tx, EventKind::Updated, id, by).await?;
        tx.commit().await?;
        Ok(Some(attendance))
    }

    /// Newest first.
    pub(crate) async fn attendances(
        &self,
        filter: &Filter,
        limit: i64,
    ) -> Result<Vec<Attendance>, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push("1 = 1");
        if let Some(user_id) = filter.user_id {
            query.push(" AND attendances.user_id = ").push_bind(user_id);
        }
        if let Some(date) = &filter.date {
            query.push(" AND attendances.date = ").push_bind(date);
        }
        if let Some(status) = filter.status {
            query.push(" AND attendances.status = ").push_bind(status.as_str());
        }
        if filter.open {
            query.push(" AND attendances.open_key IS NOT NULL");
        }
        if let Some(before) = filter.before {
            query.push(" AND attendances.id < ").push_bind(before);
        }
        query.push(" ORDER BY attendances.id DESC LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&self.read).await
    }

    /// Counts of one local day, of one person or of all.
    pub(crate) async fn summary(&self, date: &str, user_id: Option<i64>) -> Result<Summary, sqlx::Error> {
        let row = sqlx::query(
            "SELECT COUNT(CASE WHEN status = 'present' THEN 1 END) AS present,
                    COUNT(CASE WHEN status = 'late' THEN 1 END) AS late,
                    COUNT(check_out) AS checked_out,
                    COUNT(*) - COUNT(check_out) AS still_open
             FROM attendances WHERE date = ? AND (? IS NULL OR user_id = ?)",
        )
        .bind(date)
        .bind(user_id)
        .bind(user_id)
        .fetch_one(&self.read)
        .await?;
        Ok(Summary {
            date: date.to_owned(),
            present: row.try_get("present")?,
            late: row.try_get("late")?,
            checked_out: row.try_get("checked_out")?,
            open: row.try_get("still_open")?,
        })
    }
}

async fn insert(tx: &mut SqliteConnection, new: &CheckIn, node_id: u32) -> Result<i64, sqlx::Error> {
    let result = sqlx::query(
        "INSERT INTO attendances (user_id, node_id, date, check_in, status, notes, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.user_id)
    .bind(node_id)
    .bind(&new.date)
    .bind(new.at.as_str())
    .bind(new.status.as_str())
    .bind(&new.notes)
    .bind(new.at.as_str())
    .bind(new.at.as_str())
    .execute(tx)
    .await?;
    Ok(result.last_insert_rowid())
}

async fn newest_open(tx: &mut SqliteConnection, user_id: i64) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id FROM attendances WHERE user_id = ? AND check_out IS NULL ORDER BY check_in DESC, id DESC LIMIT 1",
    )
    .bind(user_id)
    .fetch_optional(tx)
    .await?;
    row.map(|row| row.try_get("id")).transpose()
}

/// Writes the event of a change in the change's own transaction: neither is ever there without the other.
async fn announce(
    tx: &mut SqliteConnection,
    kind: EventKind,
    id: i64,
    by: Writer,
) -> Result<Attendance, Error> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    let attendance: Attendance =
        query.push("attendances.id = ").push_bind(id).build_query_as().fetch_one(&mut *tx).await?;
    let event = Event::new(kind, &attendance, by.node_id, by.public_details)
        .map_err(|error| Error::Internal(format!("event of attendance {id}: {error}")))?;
    outbox::add(tx, &event).await?;
    Ok(attendance)
}

impl FromRow<'_, SqliteRow> for Attendance {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let status: String = row.try_get("status")?;
        let user_id = row.try_get("user_id")?;
        let check_out: Option<String> = row.try_get("check_out")?;
        Ok(Self {
            id: row.try_get("id")?,
            user_id,
            user: Person {
                id: user_id,
                name: row.try_get("user_name")?,
                email: Some(row.try_get("user_email")?),
            },
            node_id: row.try_get("node_id")?,
            date: row.try_get("date")?,
            check_in: Stamp::from_stored(row.try_get("check_in")?),
            check_out: check_out.map(Stamp::from_stored),
            status: Status::parse(&status).ok_or_else(|| unexpected("status", &status))?,
            notes: row.try_get("notes")?,
            version: row.try_get("version")?,
            created_at: Stamp::from_stored(row.try_get("created_at")?),
            updated_at: Stamp::from_stored(row.try_get("updated_at")?),
        })
    }
}
