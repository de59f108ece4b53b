//! SQL of `attendances`. Each change writes its event to the outbox in the same transaction.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Attempts, Row, Store, Tx, idempotency, outbox, query, violates};
use crate::domain::{Attendance, Event, EventKind, Person, Stamp, Status};

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
#[derive(Debug, Serialize, ToSchema)]
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
    pub(crate) async fn check_in(&self, new: &CheckIn, by: Writer) -> Result<CheckedIn, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_check_in(new, by).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_check_in(&self, new: &CheckIn, by: Writer) -> Result<CheckedIn, sqlx::Error> {
        let mut tx = self.begin().await?;
        if let Some(key_hash) = &new.key_hash
            && let Some(answer) = idempotency::take(&mut tx, new.user_id, key_hash).await?
        {
            return Ok(CheckedIn::Repeated(answer));
        }
        let id = match insert(&mut tx, new, by.node_id).await {
            Err(error) if violates(&error, "open_key") => return Ok(CheckedIn::AlreadyOpen),
            other => other?,
        };
        let attendance = announce(&mut tx, EventKind::Created, id, by).await?;
        if let Some(key_hash) = &new.key_hash {
            let answer = serde_json::to_string(&attendance).map_err(unwritable)?;
            idempotency::remember(&mut tx, new.user_id, key_hash, &answer).await?;
        }
        tx.commit().await?;
        Ok(CheckedIn::Stored(Box::new(attendance)))
    }

    /// Closes the newest open record of a person, of whatever day, and stores its event; `None` when there is none.
    pub(crate) async fn check_out(
        &self,
        user_id: i64,
        by: Writer,
    ) -> Result<Option<Attendance>, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_check_out(user_id, by).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_check_out(&self, user_id: i64, by: Writer) -> Result<Option<Attendance>, sqlx::Error> {
        let mut tx = self.begin().await?;
        let Some(id) = newest_open(&mut tx, user_id).await? else { return Ok(None) };
        let now = Stamp::now();
        query("UPDATE attendances SET check_out = ?, updated_at = ?, version = version + 1 WHERE id = ?")
            .bind(&now)
            .bind(&now)
            .bind(id)
            .execute(&mut tx)
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
        let mut list = query(SELECT).push("1 = 1");
        if let Some(user_id) = filter.user_id {
            list = list.push(" AND attendances.user_id = ?").bind(user_id);
        }
        if let Some(date) = &filter.date {
            list = list.push(" AND attendances.date = ?").bind(date);
        }
        if let Some(status) = filter.status {
            list = list.push(" AND attendances.status = ?").bind(status.as_str());
        }
        if filter.open {
            list = list.push(" AND attendances.open_key IS NOT NULL");
        }
        if let Some(before) = filter.before {
            list = list.push(" AND attendances.id < ?").bind(before);
        }
        let list = list.push(" ORDER BY attendances.id DESC LIMIT ?").bind(limit);
        let rows = list.all(&mut self.reader().await?).await?;
        rows.iter().map(Attendance::from_row).collect()
    }

    /// Counts of one local day, of one person or of all.
    pub(crate) async fn summary(&self, date: &str, user_id: Option<i64>) -> Result<Summary, sqlx::Error> {
        let row = query(
            "SELECT COUNT(CASE WHEN status = 'present' THEN 1 END) AS present,
                    COUNT(CASE WHEN status = 'late' THEN 1 END) AS late,
                    COUNT(check_out) AS checked_out,
                    COUNT(*) - COUNT(check_out) AS still_open
             FROM attendances WHERE date = ? AND (? IS NULL OR user_id = ?)",
        )
        .bind(date)
        .bind(user_id)
        .bind(user_id)
        .one(&mut self.reader().await?)
        .await?;
        Ok(Summary {
            date: date.to_owned(),
            present: row.integer("present")?,
            late: row.integer("late")?,
            checked_out: row.integer("checked_out")?,
            open: row.integer("still_open")?,
        })
    }
}

async fn insert(tx: &mut Tx<'_>, new: &CheckIn, node_id: u32) -> Result<i64, sqlx::Error> {
    let done = query(
        "INSERT INTO attendances (user_id, node_id, date, check_in, status, notes, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.user_id)
    .bind(node_id)
    .bind(&new.date)
    .bind(&new.at)
    .bind(new.status.as_str())
    .bind(&new.notes)
    .bind(&new.at)
    .bind(&new.at)
    .execute(tx)
    .await?;
    Ok(done.id)
}

/// Two check-outs at once close a record only once: the second waits for the row and then finds it closed.
async fn newest_open(tx: &mut Tx<'_>, user_id: i64) -> Result<Option<i64>, sqlx::Error> {
    let newest = query(
        "SELECT id FROM attendances WHERE user_id = ? AND check_out IS NULL ORDER BY check_in DESC, id DESC LIMIT 1",
    );
    let row = newest.push(tx.for_update()).bind(user_id).first(tx).await?;
    row.map(|row| row.integer("id")).transpose()
}

/// Writes the event of a change in the change's own transaction: neither is ever there without the other.
async fn announce(tx: &mut Tx<'_>, kind: EventKind, id: i64, by: Writer) -> Result<Attendance, sqlx::Error> {
    let row = query(SELECT).push("attendances.id = ?").bind(id).one(&mut *tx).await?;
    let attendance = Attendance::from_row(&row)?;
    let event = Event::new(kind, &attendance, by.node_id, by.public_details).map_err(unwritable)?;
    outbox::add(tx, &event).await?;
    Ok(attendance)
}

fn unwritable(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}

impl Attendance {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let user_id = row.integer("user_id")?;
        Ok(Self {
            id: row.integer("id")?,
            user_id,
            user: Person { id: user_id, name: row.text("user_name")?, email: Some(row.text("user_email")?) },
            node_id: row.integer("node_id")?,
            date: row.text("date")?,
            check_in: row.stamp("check_in")?,
            check_out: row.maybe("check_out")?.map(Stamp::from_stored),
            status: row.choice("status", Status::parse)?,
            notes: row.maybe("notes")?,
            version: row.integer("version")?,
            created_at: row.stamp("created_at")?,
            updated_at: row.stamp("updated_at")?,
        })
    }
}
