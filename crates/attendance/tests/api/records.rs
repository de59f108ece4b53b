//! `/api/attendances`: filters, single records, corrections and their trail.

use serde_json::{Value, json};

use crate::attendances::ids;
use crate::kit::{Kit, Node, Reply};

async fn get(node: &Node, token: &str, path: &str) -> Reply {
    node.get(&format!("/api/attendances{path}")).bearer(token).send().await
}

async fn list(node: &Node, token: &str, query: &str) -> Vec<i64> {
    let reply = get(node, token, query).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    ids(&reply.json())
}

async fn correct(node: &Node, token: &str, id: i64, change: &Value) -> Reply {
    node.call(reqwest::Method::PATCH, &format!("/api/attendances/{id}"))
        .bearer(token)
        .json(change)
        .send()
        .await
}

#[tokio::test]
async fn filters_hold_together_and_bounds_are_included() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    for name in ["Sari", "Budi", "Élodie"] {
        let (_, token) = node.employee(name).await;
        let notes = json!({ "notes": format!("{name}: 100% at home_office [3]") });
        assert_eq!(
            node.post("/api/attendances/check-in").bearer(&token).json(&notes).send().await.status,
            201
        );
    }
    stage.sql("UPDATE attendances SET date = '2026-03-01', node_id = 1 WHERE id = 1").await;
    stage.sql("UPDATE attendances SET date = '2026-03-02', node_id = 2 WHERE id = 2").await;
    stage.sql("UPDATE attendances SET date = '2026-03-31', node_id = 2, status = 'late' WHERE id = 3").await;
    let cases: [(&str, &[i64]); 22] = [
        ("?from=2026-03-02", &[3, 2]),
        ("?to=2026-03-02", &[2, 1]),
        ("?from=2026-03-02&to=2026-03-31", &[3, 2]),
        ("?from=2026-03-03&to=2026-03-30", &[]),
        ("?from=2026-03-01&to=2026-03-01", &[1]),
        ("?from=2026-03-02&status=late", &[3]),
        ("?node_id=2", &[3, 2]),
        ("?node_id=2&before=3", &[2]),
        ("?node_id=7", &[]),
        ("?q=SARI", &[1]),
        ("?q=sari@EXAMPLE", &[1]),
        ("?q=example.com&node_id=2", &[3, 2]),
        // Beyond ASCII, too.
        ("?q=%C3%A9LOD", &[3]),
        ("?q=%C3%89lod", &[3]),
        // None of these is a wildcard, and a blank is part of the text.
        ("?q=100%25%20AT", &[3, 2, 1]),
        ("?q=home_office%20[3]", &[3, 2, 1]),
        ("?q=home%25office", &[]),
        ("?q=homeXoffice", &[]),
        ("?q=S_ri", &[]),
        ("?q=S*i", &[]),
        ("?q=%20Budi%20", &[2]),
        ("?q=&open=true&limit=2", &[3, 2]),
    ];
    for (query, expected) in cases {
        assert_eq!(list(&node, &admin, query).await, expected, "{query}");
    }
    let sari = node.token("sari@example.com", "password-1").await;
    assert_eq!(
        list(&node, &sari, "?q=example.com&from=2026-01-01").await,
        [1],
        "an employee sees only their own"
    );
}

#[tokio::test]
async fn each_wrong_filter_is_named() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let query = format!("?from=today&to=2026-02-30&node_id=one&q={}", "x".repeat(256));
    let reply = get(&node, &admin, &query).await;
    let errors = json!({
        "from": ["The from field must be a date such as 2026-11-22."],
        "to": ["The to field must be a date such as 2026-11-22."],
        "node_id": ["The node id field must be an integer."],
        "q": ["The q field must not be greater than 255 characters."],
    });
    assert_eq!((reply.status, &reply.json()["errors"]), (422, &errors));
    let message = "The from field must be a date such as 2026-11-22. (and 3 more errors)";
    assert_eq!(reply.json()["message"], message);
    let reply = get(&node, &admin, "?from=2026-03-02&to=2026-03-01").await;
    let errors = json!({ "to": ["The to field must be a date after or equal to from."] });
    assert_eq!((reply.status, &reply.json()["errors"]), (422, &errors));
}

#[tokio::test]
async fn one_record_is_shown_to_its_owner_and_to_admins() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    let record = node.check_in(&sari).await;
    for token in [&admin, &sari] {
        let reply = get(&node, token, "/1").await;
        assert_eq!((reply.status, reply.json()), (200, record.clone()));
    }
    for path in ["/1", "/1/corrections"] {
        assert_eq!(get(&node, &budi, path).await.status, 403, "{path}");
        assert_eq!(node.get(&format!("/api/attendances{path}")).send().await.status, 401, "{path}");
    }
    for path in ["/2", "/0", "/-1", "/one", "/99999999999999999999", "/2/corrections"] {
        let reply = get(&node, &admin, path).await;
        assert_eq!((reply.status, reply.json()), (404, json!({ "message": "Not found." })), "{path}");
    }
}

#[tokio::test]
async fn a_correction_changes_the_record_leaves_a_trail_and_is_told() {
    let Kit { stage, node } = Kit::start_with(|config| config.work_start = Some("08:00".into())).await;
    let second_node = stage
        .node({
            let mut config = stage.config();
            config.node_id = 8;
            config.work_start = Some("08:00".into());
            config
        })
        .await;
    let admin = node.admin().await;
    let (sari_id, sari) = node.employee("Sari").await;
    let record = node.check_in(&sari).await;
    let change = json!({
        "check_in": "2026-03-02T08:00:01+07:00", "check_out": "2026-03-02T09:30:00Z", "notes": " badge forgotten ",
        "version": 1, "reason": "says the gate",
    });
    let reply = correct(&second_node, &admin, 1, &change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let corrected = reply.json();
    let mut expected = record.clone();
    for (field, value) in [
        ("date", json!("2026-03-02")),
        ("check_in", json!("2026-03-02T01:00:01.000000Z")),
        ("check_out", json!("2026-03-02T09:30:00.000000Z")),
        ("status", json!("late")),
        ("notes", json!("badge forgotten")),
        ("version", json!(2)),
        ("updated_at", corrected["updated_at"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!(corrected, expected, "the node of the check-in stays");
    assert_eq!(get(&node, &sari, "/1").await.json(), corrected);

    let trail = get(&node, &sari, "/1/corrections").await.json();
    let before: serde_json::Map<_, _> = ["date", "check_in", "check_out", "status", "notes"]
        .into_iter()
        .filter(|field| record[field] != corrected[field])
        .map(|field| (field.to_owned(), record[field].clone()))
        .collect();
    let after: serde_json::Map<_, _> =
        before.keys().map(|field| (field.clone(), corrected[field].clone())).collect();
    let expected = json!({ "data": [{
        "id": 1, "attendance_id": 1, "user": { "id": 1, "name": "Admin" }, "version": 2,
        "before": before, "after": after, "reason": "says the gate", "created_at": corrected["updated_at"],
    }], "next": null });
    assert_eq!(trail, expected);

    stage.drained().await;
    let published = stage.broadcast.published();
    assert_eq!((published.len(), published[1].event()), (2, "attendance.updated".into()));
    let data = published[1].data(&format!("private-user.{sari_id}"));
    assert_eq!((&data["attendance"], &data["version"], &data["node_id"]), (&corrected, &json!(2), &json!(8)));
    assert_eq!(published[1].data("attendances")["attendance"]["notes"], Value::Null);
}

#[tokio::test]
async fn corrections_pile_up_newest_first_and_no_change_is_none() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    node.check_in(&sari).await;
    for notes in ["one", "two", "two", "three"] {
        assert_eq!(correct(&node, &admin, 1, &json!({ "notes": notes })).await.status, 200);
    }
    let page = get(&node, &admin, "/1/corrections?limit=2").await.json();
    let seen = |page: &Value| -> Vec<_> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                (entry["version"].clone(), entry["before"]["notes"].clone(), entry["after"]["notes"].clone())
            })
            .collect()
    };
    assert_eq!(
        seen(&page),
        [(json!(4), json!("two"), json!("three")), (json!(3), json!("one"), json!("two"))]
    );
    let rest = get(&node, &admin, &format!("/1/corrections?before={}", page["next"])).await.json();
    assert_eq!(seen(&rest), [(json!(2), Value::Null, json!("one"))]);
    stage.drained().await;
    assert_eq!(stage.broadcast.published().len(), 4);
}

#[tokio::test]
async fn who_saw_an_older_version_corrects_nothing() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    node.check_in(&sari).await;
    let attempts = (0..6).map(|i| {
        let change = json!({ "notes": format!("{i}"), "version": 1 });
        let call = node.call(reqwest::Method::PATCH, "/api/attendances/1").bearer(&admin).json(&change);
        tokio::spawn(call.send())
    });
    let attempts: Vec<_> = attempts.collect();
    let mut statuses = Vec::new();
    for attempt in attempts {
        statuses.push(attempt.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    assert_eq!(stage.count("SELECT COUNT(*) FROM corrections").await, 1);
}

#[tokio::test]
async fn a_record_is_opened_again_unless_another_of_that_day_is_open() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    let first = node.check_in(&sari).await;
    node.check_out(&sari).await;
    node.check_in(&sari).await;
    let open = json!({ "check_out": null });
    let reply = correct(&node, &admin, 1, &open).await;
    assert_eq!(
        (reply.status, reply.json()),
        (409, json!({ "message": "There is another open record of that day." }))
    );
    // Another day is another matter, until it is moved.
    let past = json!({ "check_in": "2026-03-02T01:00:00Z", "check_out": null });
    assert_eq!(correct(&node, &admin, 1, &past).await.status, 200);
    assert_eq!(list(&node, &admin, "?open=true").await, [2, 1]);
    assert_eq!(correct(&node, &admin, 1, &json!({ "check_in": first["check_in"] })).await.status, 409);
    assert_eq!(get(&node, &admin, "/1").await.json()["version"], 3);
    stage.drained().await;
    assert_eq!(stage.broadcast.published().len(), 4, "what was refused was not told");
    assert_eq!(stage.count("SELECT COUNT(*) FROM corrections").await, 1);
}

#[tokio::test]
async fn corrections_are_for_admins_and_must_make_sense() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    node.check_in(&sari).await;
    let fine = json!({ "notes": "x" });
    assert_eq!(correct(&node, &sari, 1, &fine).await.status, 403);
    assert_eq!(correct(&node, &sari, 2, &fine).await.status, 403);
    assert_eq!(correct(&node, &admin, 2, &fine).await.status, 404);
    assert_eq!(node.call(reqwest::Method::PATCH, "/api/attendances/1").json(&fine).send().await.status, 401);
    for (change, field) in [
        (json!({}), "check_in"),
        (json!({ "status": "late" }), "status"),
        (json!({ "check_in": "2999-01-01T00:00:00Z" }), "check_in"),
        (json!({ "check_out": "2026-03-02T01:00:00Z" }), "check_out"),
    ] {
        let reply = correct(&node, &admin, 1, &change).await;
        assert_eq!(reply.status, 422, "{change}: {}", reply.text);
        assert!(reply.json()["errors"][field].is_array(), "{change}: {}", reply.text);
    }
    assert_eq!(get(&node, &admin, "/1").await.json()["version"], 1);
}
