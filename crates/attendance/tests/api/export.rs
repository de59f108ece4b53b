//! `/api/attendances/export.csv`.

use serde_json::json;

use crate::kit::{Kit, Stage};

const HEADER: &str = "id,user_id,user_name,user_email,node_id,date,check_in,check_out,status,notes,version";

#[tokio::test]
async fn the_file_holds_what_the_filters_let_through() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    for name in ["Sari", "Budi"] {
        let (_, token) = node.employee(name).await;
        let notes = json!({ "notes": "=HYPERLINK(\"http://evil\"),\nsecond line" });
        node.post("/api/attendances/check-in").bearer(&token).json(&notes).send().await;
    }
    stage
        .sql("UPDATE attendances SET date = '2026-03-01', check_in = '2026-03-01 01:00:00.500000', notes = NULL WHERE id = 1")
        .await;
    let reply = node.get("/api/attendances/export.csv?to=2026-03-31").bearer(&admin).send().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"attendances-to-2026-03-31.csv\"");
    let line = "1,2,Sari,sari@example.com,7,2026-03-01,2026-03-01T01:00:00.500000Z,,present,,1";
    assert_eq!(reply.text, format!("{HEADER}\r\n{line}\r\n"));

    let all = node.get("/api/attendances/export.csv").bearer(&admin).send().await;
    let today = node.get("/api/attendances/summary").bearer(&admin).send().await.json()["date"].clone();
    let name = format!("attachment; filename=\"attendances-{}.csv\"", today.as_str().unwrap());
    assert_eq!(all.header("content-disposition"), name);
    assert!(
        all.text.contains(",\"'=HYPERLINK(\"\"http://evil\"\"),\nsecond line\",1\r\n1,2,Sari"),
        "{}",
        all.text
    );

    let sari = node.token("sari@example.com", "password-1").await;
    let own = node.get("/api/attendances/export.csv").bearer(&sari).send().await;
    assert_eq!(own.text.lines().count(), 2, "{}", own.text);
    assert_eq!(node.get("/api/attendances/export.csv?user_id=3").bearer(&sari).send().await.status, 403);
    assert_eq!(node.get("/api/attendances/export.csv?date=x").bearer(&sari).send().await.status, 422);
    assert_eq!(node.get("/api/attendances/export.csv").send().await.status, 401);
    let none = node.get("/api/attendances/export.csv?date=2020-01-01").bearer(&admin).send().await;
    assert_eq!(none.text, format!("{HEADER}\r\n"));
}

/// Together more than all buffers on the way hold.
const COUNT: usize = 16_000;

/// Closed records of the admin, each with notes of a thousand letters.
async fn many(stage: &Stage) {
    let columns = "user_id, node_id, date, check_in, check_out, status, notes, created_at, updated_at";
    let at = "'2026-03-01 01:00:00.000000'";
    let row = format!("(1, 1, '2026-03-01', {at}, {at}, 'present', '{}', {at}, {at})", "x".repeat(1000));
    let rows = vec![row; COUNT / 16].join(",");
    stage.sql(&format!("INSERT INTO attendances ({columns}) VALUES {rows}")).await;
    for _ in 0..4 {
        stage.sql(&format!("INSERT INTO attendances ({columns}) SELECT {columns} FROM attendances")).await;
    }
}

#[tokio::test]
async fn a_file_of_any_size_is_made_while_it_is_read_and_breaks_off_audibly() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    many(&stage).await;
    let begin = async || {
        let mut response = node.get("/api/attendances/export.csv").bearer(&admin).start().await;
        let first = response.chunk().await.unwrap().unwrap();
        (response, first.to_vec())
    };
    // The last line tells of a change that came after the first one had arrived.
    let (mut response, mut text) = begin().await;
    let oldest = stage.count("SELECT MIN(id) FROM attendances").await;
    stage.sql(&format!("UPDATE attendances SET notes = 'meanwhile' WHERE id = {oldest}")).await;
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), COUNT + 1);
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("{oldest},1,Admin")) && last.ends_with(",present,meanwhile,1"),
        "{last}"
    );

    // What the database breaks off is not taken for whole.
    let (mut response, _) = begin().await;
    stage.sql("ALTER TABLE attendances RENAME TO elsewhere").await;
    while let Ok(chunk) = response.chunk().await {
        assert!(chunk.is_some(), "it ended as if it were whole");
    }
}
