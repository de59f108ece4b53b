use serde_json::json;

use super::*;

const NOW: &str = "2026-11-23T00:00:00Z";

fn day() -> WorkingDay {
    WorkingDay::new("Asia/Jakarta", Some("08:00"), 0).unwrap()
}

/// From 07:00 to 15:00 in Jakarta.
fn record() -> Attendance {
    let at = |text: &str| Stamp::from_stored(text.to_owned());
    Attendance {
        date: "2026-11-22".into(),
        check_in: at("2026-11-22 00:00:00.000000"),
        check_out: Some(at("2026-11-22 08:00:00.000000")),
        notes: Some("early".into()),
        ..Attendance::sample()
    }
}

fn read(body: &Value) -> Result<Correction, Value> {
    let mut fields = Fields::new(body.as_object().unwrap());
    let correction = Correction::read(&mut fields, &day(), NOW.parse().unwrap());
    fields.finish().map(|()| correction).map_err(|invalid| json!(invalid.errors()))
}

fn changes(body: &Value) -> Value {
    let changed = read(body).unwrap().apply(&record()).unwrap();
    serde_json::to_value(Changes::between(&record(), &changed).unwrap()).unwrap()
}

#[test]
fn date_and_status_follow_from_the_check_in() {
    let expected = json!({
        "before": { "date": "2026-11-22", "check_in": "2026-11-22T00:00:00.000000Z", "status": "present" },
        "after": { "date": "2026-11-21", "check_in": "2026-11-21T16:59:59.500000Z", "status": "late" },
    });
    assert_eq!(changes(&json!({ "check_in": "2026-11-21T23:59:59.5+07:00" })), expected);
}

#[test]
fn null_opens_the_record_and_empties_the_notes() {
    let expected = json!({
        "before": { "check_out": "2026-11-22T08:00:00.000000Z", "notes": "early" },
        "after": { "check_out": null, "notes": null },
    });
    assert_eq!(changes(&json!({ "check_out": null, "notes": null })), expected);
}

#[test]
fn what_is_as_it_was_is_no_change() {
    let same = json!({ "check_in": "2026-11-22T07:00:00+07:00", "check_out": "2026-11-22T08:00Z", "notes": "early " });
    assert_eq!(changes(&same), json!({ "before": {}, "after": {} }));
}

#[test]
fn nobody_leaves_before_they_come() {
    let wrong =
        |body| read(&body).unwrap().apply(&record()).map(drop).map_err(|invalid| json!(invalid.errors()));
    let check_in = json!({ "check_in": ["The check in field must be a date before or equal to check out."] });
    assert_eq!(wrong(json!({ "check_in": "2026-11-22T08:00:00.000001Z" })), Err(check_in));
    let check_out =
        json!({ "check_out": ["The check out field must be a date after or equal to check in."] });
    assert_eq!(wrong(json!({ "check_out": "2026-11-21T23:59:59Z" })), Err(check_out.clone()));
    let both = json!({ "check_in": "2026-11-20T10:00:00Z", "check_out": "2026-11-20T09:00:00Z" });
    assert_eq!(wrong(both), Err(check_out));
    assert_eq!(wrong(json!({ "check_out": "2026-11-22T00:00:00Z" })), Ok(()));

    // Clocks of two nodes may have made one that is; its notes can be corrected all the same.
    let mut backwards = record();
    backwards.check_out = Some(Stamp::from_stored("2026-11-21 23:59:59.999999".into()));
    assert!(read(&json!({ "notes": "x" })).unwrap().apply(&backwards).is_ok());
}

#[test]
fn what_cannot_be_is_named() {
    let cases = [
        (json!({}), "check_in", "The check in field is required when none of check out / notes are present."),
        (
            json!({ "version": 2, "reason": "x" }),
            "check_in",
            "The check in field is required when none of check out / notes are present.",
        ),
        (json!({ "notes": "x", "node_id": 1 }), "node_id", "The node id field cannot be changed."),
        (
            json!({ "check_in": null }),
            "check_in",
            "The check in field must be a valid date: ISO 8601 with an offset, such as 2026-11-22T08:00:00+07:00.",
        ),
        (json!({ "check_in": 5 }), "check_in", "The check in field must be a string."),
        (
            json!({ "check_out": "" }),
            "check_out",
            "The check out field must be a valid date: ISO 8601 with an offset, such as 2026-11-22T08:00:00+07:00.",
        ),
        (
            json!({ "check_out": "2026-11-22T08:00:00" }),
            "check_out",
            "The check out field must be a valid date: ISO 8601 with an offset, such as 2026-11-22T08:00:00+07:00.",
        ),
        (
            json!({ "check_in": "2026-11-23T00:00:00.000001Z" }),
            "check_in",
            "The check in field must be a date before or equal to now.",
        ),
        (
            json!({ "check_in": "1969-12-31T23:59:59Z" }),
            "check_in",
            "The check in field must be a date after or equal to 1970-01-01.",
        ),
        (
            json!({ "notes": "x".repeat(1001) }),
            "notes",
            "The notes field must not be greater than 1000 characters.",
        ),
        (json!({ "notes": "x", "version": "two" }), "version", "The version field must be an integer."),
    ];
    for (body, field, message) in cases {
        assert_eq!(read(&body).unwrap_err(), json!({ field: [message] }), "{body}");
    }
    // A form sends numbers as text, and the CSRF token beside its fields.
    assert_eq!(read(&json!({ "notes": "x", "version": "2", "_token": "t" })).unwrap().version, Some(2));
}
