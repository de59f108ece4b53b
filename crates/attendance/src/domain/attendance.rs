//! One attendance record, in the one JSON shape that REST and events share.

use serde::Serialize;
use utoipa::ToSchema;

use super::Stamp;

/// Most characters of `notes`: with it no event exceeds the 10,240 bytes a Pusher server takes.
pub(crate) const NOTES_LIMIT: usize = 1000;

/// Whether somebody came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// In time, or there is no fixed start of work.
    Present,
    /// After the start of work and its grace period.
    Late,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "present" => Some(Self::Present),
            "late" => Some(Self::Late),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Late => "late",
        }
    }
}

/// Whose record it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Person {
    pub id: i64,
    pub name: String,
    /// Left out of the public copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A record. Front ends depend on names, order and types of these fields.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Attendance {
    pub id: i64,
    pub user_id: i64,
    pub user: Person,
    /// The node of the check-in.
    pub node_id: i64,
    /// Local working day, `YYYY-MM-DD`.
    pub date: String,
    pub check_in: Stamp,
    pub check_out: Option<Stamp>,
    pub status: Status,
    pub notes: Option<String>,
    /// Counts the changes from 1.
    pub version: i64,
    pub created_at: Stamp,
    pub updated_at: Stamp,
}

impl Attendance {
    /// What everybody who knows the app key may read.
    pub(crate) fn public_copy(&self) -> Self {
        let mut copy = self.clone();
        copy.user.email = None;
        copy.notes = None;
        copy
    }
}

#[cfg(test)]
impl Attendance {
    /// An open record, for tests of what is made of one.
    pub(super) fn sample() -> Self {
        let at = |text: &str| Stamp::from_stored(text.to_owned());
        Self {
            id: 12,
            user_id: 7,
            user: Person { id: 7, name: "Sari".into(), email: Some("sari@example.com".into()) },
            node_id: 2,
            date: "2026-11-23".into(),
            check_in: at("2026-11-22 20:45:00.123456"),
            check_out: None,
            status: Status::Present,
            notes: Some("from \"home\"".into()),
            version: 3,
            created_at: at("2026-11-22 20:45:00.123456"),
            updated_at: at("2026-11-22 21:00:00.000001"),
        }
    }
}
