//! SQL of `corrections`: a correction, its trail and its event are one transaction.

use serde_json::Map;

use super::attendances::{Writer, announce, unwritable};
use super::{Attempts, Row, Store, Tx, query, records, violates};
use crate::domain::{Attendance, Changes, Corrected, Correction, EventKind, Invalid, Person, Stamp};

/// How a correction ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Stored(Box<Attendance>),
    /// The record is already as it shall be; nothing was written.
    Unchanged(Box<Attendance>),
    Missing,
    /// The admin saw an older version.
    Stale,
    /// The person has another open record of that day.
    AlreadyOpen,
    Invalid(Invalid),
}

impl Store {
    /// Corrects a record in the name of `user_id`.
    pub(crate) async fn correct(
        &self,
        id: i64,
        correction: &Correction,
        user_id: i64,
        by: Writer,
    ) -> Result<Outcome, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_correct(id, correction, user_id, by).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_correct(
        &self,
        id: i64,
        correction: &Correction,
        user_id: i64,
        by: Writer,
    ) -> Result<Outcome, sqlx::Error> {
        let mut tx = self.begin().await?;
        let Some(record) = locked(&mut tx, id).await? else { return Ok(Outcome::Missing) };
        if correction.version.is_some_and(|seen| seen != record.version) {
            return Ok(Outcome::Stale);
        }
        let changed = match correction.apply(&record) {
            Ok(changed) => changed,
            Err(invalid) => return Ok(Outcome::Invalid(invalid)),
        };
        let changes = Changes::between(&record, &changed).map_err(unwritable)?;
        if changes.is_empty() {
            return Ok(Outcome::Unchanged(Box::new(record)));
        }
        match update(&mut tx, &changed).await {
            Err(error) if violates(&error, "open_key") => return Ok(Outcome::AlreadyOpen),
            other => other?,
        }
        let attendance = announce(&mut tx, EventKind::Updated, id, by).await?;
        note(&mut tx, &attendance, &changes, user_id, correction.reason.as_ref()).await?;
        tx.commit().await?;
        Ok(Outcome::Stored(Box::new(attendance)))
    }

    /// What was corrected in a record, newest first, ids below `before`.
    pub(crate) async fn corrections(
        &self,
        attendance_id: i64,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Corrected>, sqlx::Error> {
        let rows = query(
            "SELECT corrections.*, users.name AS user_name
             FROM corrections LEFT JOIN users ON users.id = corrections.user_id
             WHERE attendance_id = ? AND corrections.id < ? ORDER BY corrections.id DESC LIMIT ?",
        )
        .bind(attendance_id)
        .bind(before)
        .bind(limit)
        .all(&mut self.reader().await?)
        .await?;
        rows.iter().map(Corrected::from_row).collect()
    }
}

/// A record that nobody else changes until this transaction ends.
async fn locked(tx: &mut Tx<'_>, id: i64) -> Result<Option<Attendance>, sqlx::Error> {
    let lock = query("SELECT id FROM attendances WHERE id = ?").push(tx.for_update()).bind(id);
    match lock.first(&mut *tx).await? {
        Some(_) => records::find(tx, id).await,
        None => Ok(None),
    }
}

async fn update(tx: &mut Tx<'_>, changed: &Attendance) -> Result<(), sqlx::Error> {
    query(
        "UPDATE attendances SET date = ?, check_in = ?, check_out = ?, status = ?, notes = ?, updated_at = ?,
                                version = version + 1
         WHERE id = ?",
    )
    .bind(&changed.date)
    .bind(&changed.check_in)
    .bind(&changed.check_out)
    .bind(changed.status.as_str())
    .bind(&changed.notes)
    .bind(&Stamp::now())
    .bind(changed.id)
    .execute(tx)
    .await
    .map(drop)
}

async fn note(
    tx: &mut Tx<'_>,
    attendance: &Attendance,
    changes: &Changes,
    user_id: i64,
    reason: Option<&String>,
) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO corrections (attendance_id, user_id, version, old_values, new_values, reason, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(attendance.id)
    .bind(user_id)
    .bind(attendance.version)
    .bind(&serde_json::to_string(&changes.before).map_err(unwritable)?)
    .bind(&serde_json::to_string(&changes.after).map_err(unwritable)?)
    .bind(&reason.cloned())
    .bind(&attendance.updated_at)
    .execute(tx)
    .await
    .map(drop)
}

impl Corrected {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let values = |column| row.choice(column, |text| serde_json::from_str::<Map<_, _>>(text).ok());
        Ok(Self {
            id: row.integer("id")?,
            attendance_id: row.integer("attendance_id")?,
            user: Person { id: row.integer("user_id")?, name: row.text("user_name")?, email: None },
            version: row.integer("version")?,
            changes: Changes { before: values("old_values")?, after: values("new_values")? },
            reason: row.maybe("reason")?,
            created_at: row.stamp("created_at")?,
        })
    }
}
