//! The events of an attendance: their names, channels and payloads, which existing front ends depend on.

use serde::Serialize;
use uuid::Uuid;

use super::{Attendance, Stamp};

/// The channel that everybody with the app key can read.
pub(crate) const PUBLIC_CHANNEL: &str = "attendances";

/// The channel of one user (and the admins), which carries everything.
pub(crate) fn private_channel(user_id: i64) -> String {
    format!("private-user.{user_id}")
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// A check-in was stored.
    Created,
    /// A check-out or a correction was stored.
    Updated,
}

impl EventKind {
    /// The name on the wire; Echo listens with a leading dot.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "attendance.created",
            Self::Updated => "attendance.updated",
        }
    }
}

/// An event with both payloads as they will be sent, however often.
#[derive(Debug)]
pub(crate) struct Event {
    pub kind: EventKind,
    pub event_id: Uuid,
    pub attendance_id: i64,
    pub user_id: i64,
    pub public_data: String,
    pub private_data: String,
}

#[derive(Serialize)]
struct Data<'a> {
    event_id: Uuid,
    version: i64,
    attendance: &'a Attendance,
    node_id: u32,
    timestamp: &'a Stamp,
}

impl Event {
    /// The event of the latest change of `attendance`, made by `node_id`. `public_details` leaves e-mail and notes in
    /// the public copy.
    ///
    /// # Errors
    /// Never in practice: the payload holds nothing that JSON cannot express.
    pub(crate) fn new(
        kind: EventKind,
        attendance: &Attendance,
        node_id: u32,
        public_details: bool,
    ) -> Result<Self, serde_json::Error> {
        let event_id = Uuid::now_v7();
        let data = |attendance: &Attendance| {
            serde_json::to_string(&Data {
                event_id,
                version: attendance.version,
                attendance,
                node_id,
                timestamp: &attendance.updated_at,
            })
        };
        let private_data = data(attendance)?;
        let public_data =
            if public_details { private_data.clone() } else { data(&attendance.public_copy())? };
        Ok(Self {
            kind,
            event_id,
            attendance_id: attendance.id,
            user_id: attendance.user_id,
            public_data,
            private_data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_payload_is_exactly_this() {
        let event = Event::new(EventKind::Created, &Attendance::sample(), 1, false).unwrap();
        let expected = r#"{"event_id":"EVENT-ID","version":3,"attendance":{"id":12,"user_id":7,"user":{"id":7,"name":"Sari","email":"sari@example.com"},"node_id":2,"date":"2026-11-23","check_in":"2026-11-22T20:45:00.123456Z","check_out":null,"status":"present","notes":"from \"home\"","version":3,"created_at":"2026-11-22T20:45:00.123456Z","updated_at":"2026-11-22T21:00:00.000001Z"},"node_id":1,"timestamp":"2026-11-22T21:00:00.000001Z"}"#;
        assert_eq!(event.private_data, expected.replace("EVENT-ID", &event.event_id.to_string()));
    }

    #[test]
    fn the_public_payload_has_no_email_and_no_notes() {
        let event = Event::new(EventKind::Updated, &Attendance::sample(), 1, false).unwrap();
        assert!(event.public_data.contains(r#""user":{"id":7,"name":"Sari"},"#));
        assert!(event.public_data.contains(r#""notes":null"#));
        assert!(event.public_data.contains(&event.event_id.to_string()));
    }

    #[test]
    fn public_details_make_both_copies_equal() {
        let event = Event::new(EventKind::Updated, &Attendance::sample(), 1, true).unwrap();
        assert_eq!(event.public_data, event.private_data);
    }

    #[test]
    fn the_longest_notes_still_fit_an_event() {
        let mut longest = Attendance::sample();
        longest.notes = Some("\u{1}".repeat(super::super::NOTES_LIMIT));
        longest.user.name = "\u{1}".repeat(255);
        longest.user.email = Some("x".repeat(255));
        let event = Event::new(EventKind::Created, &longest, u32::MAX, true).unwrap();
        assert!(event.public_data.len() <= 10_240, "{} bytes", event.public_data.len());
    }
}
