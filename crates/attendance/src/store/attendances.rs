//! SQL that changes `attendances`: check-in and check-out. Each change writes its event to the outbox in the same
//! transaction. Corrections are in `corrections.rs`, what only reads is in `records.rs`.

use super::{Attempts, Store, Tx, idempotency, outbox, query, records, violates};
use crate::domain::{Attendance, Event, EventKind, Stamp, Status};

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
pub(super) async fn announce(
    tx: &mut Tx<'_>,
    kind: EventKind,
    id: i64,
    by: Writer,
) -> Result<Attendance, sqlx::Error> {
    let attendance = records::find(&mut *tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let event = Event::new(kind, &attendance, by.node_id, by.public_details).map_err(unwritable)?;
    outbox::add(tx, &event).await?;
    Ok(attendance)
}

pub(super) fn unwritable(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}
