//! What an admin changes in a record afterwards, and the trail it leaves.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Attendance, Fields, Invalid, NOTES_LIMIT, Person, Stamp, Status, WorkingDay};

/// Fields that a correction can change, by themselves or as a consequence.
const FIELDS: [&str; 5] = ["date", "check_in", "check_out", "status", "notes"];

/// A correction as it was asked for; what is `None` stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Correction {
    /// With the working day and the status that follow from it.
    pub check_in: Option<(Stamp, String, Status)>,
    /// `Some(None)` opens the record again.
    pub check_out: Option<Option<Stamp>>,
    pub notes: Option<Option<String>>,
    /// The version that the admin has before their eyes.
    pub version: Option<i64>,
    pub reason: Option<String>,
}

impl Correction {
    /// Reads it from a request. As with all fields, `finish` must be asked before it is used.
    pub(crate) fn read(fields: &mut Fields<'_>, day: &WorkingDay, now: Timestamp) -> Self {
        fields.only(&["check_in", "check_out", "notes"], &["version", "reason"]);
        let check_in = if fields.has("check_in") { fields.moment("check_in", now) } else { None };
        let check_out = match fields.has("check_out") {
            true if fields.is_null("check_out") => Some(None),
            true => fields.moment("check_out", now).map(|at| Some(at.into())),
            false => None,
        };
        Self {
            check_in: check_in.map(|at| {
                let (date, status) = day.judge(at);
                (at.into(), date, status)
            }),
            check_out,
            notes: fields.has("notes").then(|| fields.optional_text("notes", NOTES_LIMIT)),
            version: fields.integer("version"),
            reason: fields.optional_text("reason", NOTES_LIMIT),
        }
    }

    /// The record as it will be, but for its version and the time of the change.
    ///
    /// # Errors
    /// The corrected times say that somebody left before they came.
    pub(crate) fn apply(&self, record: &Attendance) -> Result<Attendance, Invalid> {
        let mut changed = record.clone();
        if let Some((check_in, date, status)) = &self.check_in {
            (changed.check_in, changed.date, changed.status) = (check_in.clone(), date.clone(), *status);
        }
        if let Some(check_out) = &self.check_out {
            changed.check_out.clone_from(check_out);
        }
        if let Some(notes) = &self.notes {
            changed.notes.clone_from(notes);
        }
        let is_backwards = changed.check_out.as_ref().is_some_and(|out| *out < changed.check_in);
        match (&self.check_in, &self.check_out) {
            (_, Some(_)) if is_backwards => Err(Invalid::one(
                "check_out",
                "The check out field must be a date after or equal to check in.",
            )),
            (Some(_), None) if is_backwards => Err(Invalid::one(
                "check_in",
                "The check in field must be a date before or equal to check out.",
            )),
            _ => Ok(changed),
        }
    }
}

/// The fields that differ between two states of a record, with the values of both.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    pub before: Map<String, Value>,
    pub after: Map<String, Value>,
}

impl Changes {
    /// # Errors
    /// Never in practice: a record holds nothing that JSON cannot express.
    pub(crate) fn between(before: &Attendance, after: &Attendance) -> Result<Self, serde_json::Error> {
        let (before, after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
        let differing = || FIELDS.into_iter().filter(|field| before[field] != after[field]);
        let pick = |from: &Value| differing().map(|field| (field.to_owned(), from[field].clone())).collect();
        Ok(Self { before: pick(&before), after: pick(&after) })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty()
    }
}

/// A correction that was made, as the trail shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Corrected {
    pub id: i64,
    pub attendance_id: i64,
    /// Who made it, without their e-mail address.
    pub user: Person,
    /// The version of the record that it made.
    pub version: i64,
    #[serde(flatten)]
    pub changes: Changes,
    pub reason: Option<String>,
    pub created_at: Stamp,
}

#[cfg(test)]
mod tests;
