//! `/api/attendances`: check-in, check-out, list, summary.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::kit::{Kit, Node};

pub(crate) fn ids(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_check_in_answers_the_record() {
    let node = Kit::start().await.node;
    let (id, token) = node.employee("Sari").await;
    let notes = json!({ "notes": " from home " });
    let reply = node.post("/api/attendances/check-in").bearer(&token).json(&notes).send().await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("x-node-id"), "7");
    let record = reply.json();
    let at = record["check_in"].as_str().unwrap();
    assert_eq!((at.len(), &at[19..20], &at[26..]), ("2026-11-22T20:45:00.123456Z".len(), ".", "Z"));
    let expected = json!({
        "id": 1,
        "user_id": id,
        "user": { "id": id, "name": "Sari", "email": "sari@example.com" },
        "node_id": 7,
        "date": record["date"],
        "check_in": at,
        "check_out": null,
        "status": "present",
        "notes": "from home",
        "version": 1,
        "created_at": at,
        "updated_at": at,
    });
    assert_eq!(record, expected);
    assert_eq!(record["date"].as_str().unwrap().len(), 10);
}

#[tokio::test]
async fn nobody_checks_in_without_signing_in() {
    let Kit { stage, node } = Kit::start().await;
    for path in ["/api/attendances/check-in", "/api/attendances/check-out"] {
        let reply = node.post(path).send().await;
        assert_eq!((reply.status, reply.json()), (401, json!({ "message": "Unauthenticated." })));
    }
    assert_eq!(node.get("/api/attendances").send().await.status, 401);
    assert_eq!(stage.count("SELECT COUNT(*) FROM attendances").await, 0);
}

#[tokio::test]
async fn a_second_open_check_in_is_409_until_check_out() {
    let Kit { stage, node } = Kit::start().await;
    let (_, token) = node.employee("Sari").await;
    let first = node.check_in(&token).await;
    let second = node.post("/api/attendances/check-in").bearer(&token).send().await;
    assert_eq!(second.status, 409);
    assert!(second.json()["message"].is_string());

    let closed = node.check_out(&token).await;
    assert_eq!((&closed["id"], &closed["version"]), (&first["id"], &json!(2)));
    assert_eq!(closed["check_out"], closed["updated_at"]);
    assert!(closed["check_out"].as_str() > closed["check_in"].as_str());
    assert_eq!(node.post("/api/attendances/check-out").bearer(&token).send().await.status, 409);

    assert_ne!(node.check_in(&token).await["id"], first["id"]);
    stage.drained().await;
    assert_eq!(stage.broadcast.published().len(), 3, "a 409 publishes nothing");
}

#[tokio::test]
async fn of_simultaneous_check_ins_exactly_one_wins() {
    let Kit { stage, node } = Kit::start().await;
    let second_node = stage.node(stage.config()).await;
    let (_, token) = node.employee("Sari").await;
    let call = |i: usize| {
        let node = if i.is_multiple_of(2) { &node } else { &second_node };
        node.post("/api/attendances/check-in").bearer(&token).send()
    };
    let (a, b, c, d) = tokio::join!(call(0), call(1), call(2), call(3));
    let mut statuses = [a.status, b.status, c.status, d.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    assert_eq!(stage.count("SELECT COUNT(*) FROM attendances").await, 1);
}

#[tokio::test]
async fn a_storm_of_clicks_leaves_a_history_without_gaps() {
    let Kit { stage, node } = Kit::start().await;
    let second_node = stage.node(stage.config()).await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    let click = |i: usize| {
        let node = if i.is_multiple_of(2) { &node } else { &second_node };
        let path = if i % 4 < 2 { "check-in" } else { "check-out" };
        let token = if i.is_multiple_of(3) { &budi } else { &sari };
        tokio::spawn(node.post(&format!("/api/attendances/{path}")).bearer(token).send())
    };
    let clicks: Vec<_> = (0..40).map(click).collect();
    let mut statuses = Vec::new();
    for click in clicks {
        statuses.push(click.await.unwrap().status);
    }
    let count = |status: u16| statuses.iter().filter(|other| **other == status).count();
    assert_eq!(count(200) + count(201) + count(409), 40, "{statuses:?}");
    stage.drained().await;

    // Each change has one event, its number, and its place.
    let mut versions = std::collections::HashMap::<i64, Vec<i64>>::new();
    for published in stage.broadcast.published() {
        let data = published.data("attendances");
        let id = data["attendance"]["id"].as_i64().unwrap();
        versions.entry(id).or_default().push(data["version"].as_i64().unwrap());
    }
    let events: usize = versions.values().map(Vec::len).sum();
    assert_eq!((versions.len(), events), (count(201), count(201) + count(200)));
    assert!(versions.values().all(|seen| [vec![1], vec![1, 2]].contains(seen)), "{versions:?}");
}

#[tokio::test]
async fn a_repeat_with_its_key_gets_the_first_answer_and_publishes_nothing() {
    let Kit { stage, node } = Kit::start().await;
    let second_node = stage.node({
        let mut config = stage.config();
        config.node_id = 8;
        config
    });
    let second_node = second_node.await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    let check_in_on = |node: &Node, token: &str, key: &str| {
        node.post("/api/attendances/check-in").bearer(token).header("idempotency-key", key).send()
    };
    let check_in = |token: &str, key: &str| {
        node.post("/api/attendances/check-in").bearer(token).header("idempotency-key", key).send()
    };
    // The answer got lost and the client tries again, impatiently.
    let (first, second) = tokio::join!(check_in(&sari, "k1"), check_in_on(&second_node, &sari, "k1"));
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json(), second.json(), "the balancer sent it to another node");
    assert_eq!(check_in(&sari, "k2").await.status, 409);
    node.check_out(&sari).await;
    assert_eq!(check_in(&sari, "k1").await.json(), first.json(), "the first answer, not the present state");
    assert_eq!(check_in(&budi, "k1").await.status, 201, "keys of different people are different");
    assert_eq!(check_in(&sari, &"k".repeat(256)).await.status, 422);
    stage.drained().await;
    assert_eq!(stage.broadcast.published().len(), 3);
}

#[tokio::test]
async fn a_check_out_after_midnight_closes_yesterdays_record() {
    let Kit { stage, node } = Kit::start().await;
    let (_, token) = node.employee("Sari").await;
    let id = node.check_in(&token).await["id"].clone();
    stage.sql("UPDATE attendances SET date = '2020-01-01', check_in = '2020-01-01 22:00:00.000000'").await;
    // The morning after, somebody who forgot to check out checks in again; the newest record is closed first.
    let next = node.check_in(&token).await["id"].clone();
    assert_eq!(node.check_out(&token).await["id"], next);
    let closed = node.check_out(&token).await;
    assert_eq!((&closed["id"], &closed["date"]), (&id, &json!("2020-01-01")));
}

#[tokio::test]
async fn notes_end_at_a_thousand_characters() {
    let node = Kit::start().await.node;
    let (_, token) = node.employee("Sari").await;
    let check_in = |notes: String| {
        let call = node.post("/api/attendances/check-in").bearer(&token);
        call.json(&json!({ "notes": notes })).send()
    };
    let reply = check_in("ä".repeat(1001)).await;
    assert_eq!(reply.status, 422);
    let message = "The notes field must not be greater than 1000 characters.";
    assert_eq!(reply.json(), json!({ "message": message, "errors": { "notes": [message] } }));
    assert_eq!(check_in("ä".repeat(1000)).await.status, 201);
}

#[tokio::test]
async fn who_comes_after_the_start_of_work_is_late() {
    let node = Kit::start_with(|config| config.work_start = Some("00:00".into())).await.node;
    let (_, token) = node.employee("Sari").await;
    assert_eq!(node.check_in(&token).await["status"], "late");
}

#[tokio::test]
async fn employees_see_their_own_records_and_admins_all() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (sari, sari_token) = node.employee("Sari").await;
    let (budi, budi_token) = node.employee("Budi").await;
    node.check_in(&sari_token).await;
    node.check_in(&budi_token).await;
    node.check_out(&budi_token).await;
    let list = async |token: &str, query: &str| {
        let reply = node.get(&format!("/api/attendances{query}")).bearer(token).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        ids(&reply.json())
    };
    assert_eq!(list(&admin, "").await, [2, 1]);
    assert_eq!(list(&sari_token, "").await, [1]);
    assert_eq!(list(&budi_token, &format!("?user_id={budi}")).await, [2]);
    assert_eq!(list(&admin, &format!("?user_id={sari}")).await, [1]);
    assert_eq!(list(&admin, "?open=true").await, [1]);
    assert_eq!(list(&admin, "?status=late").await, [0; 0]);
    assert_eq!(list(&admin, "?date=2001-01-01").await, [0; 0]);
    let foreign = node.get(&format!("/api/attendances?user_id={budi}")).bearer(&sari_token).send().await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let node = Kit::start().await.node;
    let (_, token) = node.employee("Sari").await;
    for _ in 0..5 {
        node.check_in(&token).await;
        node.check_out(&token).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/api/attendances?limit=2".to_owned());
    loop {
        let page = node.get(&path).bearer(&token).send().await.json();
        assert!(ids(&page).len() <= 2);
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_i64() else { break };
        path = format!("/api/attendances?limit=2&before={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 5);
}

#[tokio::test]
async fn wrong_parameters_are_422() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    for query in
        ["user_id=x", "date=2026-13-01", "date=today", "status=gone", "open=maybe", "limit=%00", "before=9e9"]
    {
        let reply = node.get(&format!("/api/attendances?{query}")).bearer(&admin).send().await;
        assert_eq!(reply.status, 422, "{query}: {}", reply.text);
        let field = query.split('=').next().unwrap();
        assert!(reply.json()["errors"][field].is_array(), "{}", reply.text);
    }
    let reply = node.get("/api/attendances?limit=-5&before=-1").bearer(&admin).send().await;
    assert_eq!((reply.status, ids(&reply.json())), (200, vec![]));
}

#[tokio::test]
async fn the_summary_counts_today() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    let date = node.check_in(&sari).await["date"].clone();
    node.check_in(&budi).await;
    node.check_out(&budi).await;
    let all = node.get("/api/attendances/summary").bearer(&admin).send().await.json();
    assert_eq!(all, json!({ "date": date, "present": 2, "late": 0, "checked_out": 1, "open": 1 }));
    let own = node.get("/api/attendances/summary").bearer(&sari).send().await.json();
    assert_eq!(own, json!({ "date": date, "present": 1, "late": 0, "checked_out": 0, "open": 1 }));
    let past = node.get("/api/attendances/summary?date=2001-01-01").bearer(&admin).send().await.json();
    assert_eq!(past, json!({ "date": "2001-01-01", "present": 0, "late": 0, "checked_out": 0, "open": 0 }));
}
