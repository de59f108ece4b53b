//! `/api/attendances/summary` over a range.

use serde_json::{Value, json};

use crate::kit::{Kit, Node, Reply};

async fn summary(node: &Node, token: &str, query: &str) -> Reply {
    node.get(&format!("/api/attendances/summary{query}")).bearer(token).send().await
}

/// Sari: 1 March 8 h and 0.2 s, 2 March open. Budi: 1 March late and 0.9 s, 3 March over midnight 9 h.
async fn march() -> (Node, String, String) {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    for token in [&sari, &sari, &budi, &budi] {
        node.check_in(token).await;
        node.check_out(token).await;
    }
    for (id, date, check_in, check_out, status) in [
        (1, "01", "'2026-03-01 01:00:00.900000'", "'2026-03-01 09:00:01.100000'", "present"),
        (2, "02", "'2026-03-02 01:00:00.000000'", "NULL", "present"),
        (3, "01", "'2026-03-01 02:00:00.100000'", "'2026-03-01 02:00:01.000000'", "late"),
        (4, "03", "'2026-03-03 14:00:00.000000'", "'2026-03-03 23:00:00.000000'", "present"),
    ] {
        let values = format!("date = '2026-03-{date}', check_in = {check_in}, check_out = {check_out}");
        stage.sql(&format!("UPDATE attendances SET {values}, status = '{status}' WHERE id = {id}")).await;
    }
    (node, admin, sari)
}

#[tokio::test]
async fn days_of_a_range_that_have_records() {
    let (node, admin, sari) = march().await;
    let reply = summary(&node, &admin, "?from=2026-02-28&to=2026-03-31").await;
    let day = |date, present, late, out, open, seconds| json!({ "date": date, "present": present, "late": late, "checked_out": out, "open": open, "seconds": seconds });
    let all = [
        day("2026-03-01", 1, 1, 2, 0, 8 * 3600 + 1),
        day("2026-03-02", 1, 0, 0, 1, 0),
        day("2026-03-03", 1, 0, 1, 0, 9 * 3600),
    ];
    assert_eq!(reply.json(), json!({ "from": "2026-02-28", "to": "2026-03-31", "by": "day", "data": all }));
    let one = summary(&node, &admin, "?from=2026-03-02&to=2026-03-02&by=day").await.json();
    assert_eq!(one["data"], json!([all[1]]));
    let own = summary(&node, &sari, "?from=2026-03-01&to=2026-03-31").await.json();
    assert_eq!(own["data"], json!([day("2026-03-01", 1, 0, 1, 0, 8 * 3600), all[1]]));
    let none = summary(&node, &admin, "?from=2020-01-01&to=2020-12-31").await.json();
    assert_eq!(none["data"], json!([]), "2020 has 366 days");
}

#[tokio::test]
async fn people_of_a_range_by_name() {
    let (node, admin, sari) = march().await;
    let person = |id, name: &str, counts: [i64; 4], seconds| {
        let [present, late, checked_out, open] = counts;
        let user = json!({ "id": id, "name": name, "email": format!("{}@example.com", name.to_lowercase()) });
        json!({ "user": user, "present": present, "late": late, "checked_out": checked_out, "open": open, "seconds": seconds })
    };
    let (budi, all_of_sari) =
        (person(3, "Budi", [1, 1, 2, 0], 9 * 3600), person(2, "Sari", [2, 0, 1, 1], 8 * 3600));
    let reply = summary(&node, &admin, "?from=2026-03-01&to=2026-03-31&by=user").await.json();
    assert_eq!((&reply["by"], &reply["data"]), (&json!("user"), &json!([budi, all_of_sari])));
    let own = summary(&node, &sari, "?from=2026-03-01&to=2026-03-31&by=user").await.json();
    assert_eq!(own["data"], json!([all_of_sari]));
}

#[tokio::test]
async fn ranges_that_are_none_are_422() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    for (query, field) in [
        ("?from=2026-03-01", "to"),
        ("?to=2026-03-01", "from"),
        ("?by=user", "from"),
        ("?from=2026-03-02&to=2026-03-01", "to"),
        ("?from=2025-03-01&to=2026-03-02", "to"),
        ("?from=2026-03-01&to=2026-03-02&by=week", "by"),
        ("?from=2026-03-01&to=2026-03-02&date=2026-03-01", "date"),
        ("?from=0&to=0", "from"),
    ] {
        let reply = summary(&node, &admin, query).await;
        assert_eq!(reply.status, 422, "{query}: {}", reply.text);
        assert!(reply.json()["errors"][field].is_array(), "{query}: {}", reply.text);
    }
    let absent: Value = summary(&node, &admin, "?from=0001-01-01&to=0001-12-31").await.json();
    assert_eq!(absent["data"], json!([]));
}
