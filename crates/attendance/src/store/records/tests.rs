use std::collections::HashMap;

use gema_tests::MariaDb;
use tokio::task::spawn_blocking;

use super::*;
use crate::database::{Database, MySqlServer};
use crate::store::migrate;

const PEOPLE: i64 = 20;
const DAYS: i64 = 100;

/// Everybody was there each day, in turn on ten nodes, late on each tenth day, and nobody has left on the last one.
async fn filled(database: &Database) -> Store {
    migrate(database, false).await.unwrap();
    let store = Store::open(database).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for person in 1..=PEOPLE {
        query(
            "INSERT INTO users (id, name, email, password_hash, role, created_at, updated_at)
             VALUES (?, 'x', ?, 'x', 'employee', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        )
        .bind(person)
        .bind(&format!("{person}@example.com"))
        .execute(&mut tx)
        .await
        .unwrap();
    }
    for (day, person) in (0..DAYS).flat_map(|day| (1..=PEOPLE).map(move |person| (day, person))) {
        query(
            "INSERT INTO attendances (user_id, node_id, date, check_in, check_out, status, created_at, updated_at)
             VALUES (?, ?, ?, '2026-01-01 00:00:00', ?, ?, '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        )
        .bind(person)
        .bind(person % 10)
        .bind(&date(day))
        .bind(&(day + 1 < DAYS).then(|| "2026-01-01 08:00:00".to_owned()))
        .bind(if day % 10 == 0 { "late" } else { "present" })
        .execute(&mut tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    query("ANALYZE TABLE attendances, users").all(&mut store.writer().await.unwrap()).await.ok();
    store
}

fn date(day: i64) -> String {
    format!("2026-{:02}-{:02}", 1 + day / 28, 1 + day % 28)
}

/// Each filter, with the index that leads to its records.
fn filters() -> [(Filter, &'static str); 7] {
    let filter = Filter::default;
    [
        (filter(), "PRIMARY"),
        (Filter { user_id: Some(3), ..filter() }, "attendances_user_id_index"),
        (Filter { node_id: Some(2), ..filter() }, "attendances_node_id_index"),
        (Filter { date: Some(date(50)), ..filter() }, "attendances_date_index"),
        (Filter { status: Some(Status::Late), ..filter() }, "attendances_status_index"),
        (Filter { open: true, ..filter() }, "attendances_open_key_unique"),
        (Filter { from: Some(date(90)), to: Some(date(91)), ..filter() }, "attendances_date_index"),
    ]
}

/// How the database will go about it: the index it takes, and whether it sorts.
async fn plan(store: &Store, query: Query) -> (String, bool) {
    let mut reader = store.reader().await.unwrap();
    match &store.read {
        Pool::Sqlite(_) => {
            let rows = query.explained("EXPLAIN QUERY PLAN ").all(&mut reader).await.unwrap();
            let steps: Vec<_> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
            (steps[0].clone(), steps.iter().any(|step| step.contains("TEMP B-TREE")))
        }
        Pool::MySql(_) => {
            let rows = query.explained("EXPLAIN ").all(&mut reader).await.unwrap();
            let row: HashMap<_, _> =
                ["table", "key", "Extra"].map(|name| (name, rows[0].maybe(name).unwrap())).into();
            let text = |name| row[name].clone().unwrap_or_default();
            (format!("{} USING {}", text("table"), text("key")), text("Extra").contains("filesort"))
        }
    }
}

/// Pages lie where an index leads, without sorting, but for few records that have no order of their own.
async fn check(database: &Database) {
    let store = filled(database).await;
    for (filter, index) in filters() {
        // There are few of these.
        let sorts = index.contains("open_key") || filter.from.is_some();
        for before in [None, Some(1000)] {
            let filter = Filter { before, ..filter.clone() };
            let (first, sorted) = plan(&store, list(&store.read, &filter, 51)).await;
            let found = first.contains(index)
                || (index == "PRIMARY"
                    && ["SCAN attendances", "USING INTEGER PRIMARY KEY"]
                        .iter()
                        .any(|text| first.contains(text)));
            assert!(found && first.contains("attendances"), "{filter:?}: {first}");
            assert!(sorts || !sorted, "{filter:?}: {first} and sorts");
        }
    }
    store.close().await;
}

#[tokio::test]
async fn pages_are_found_by_an_index_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    check(&Database::Sqlite(folder.path().join("x.sqlite"))).await;
}

#[tokio::test]
async fn pages_are_found_by_an_index_in_mariadb() {
    let (name, port) =
        spawn_blocking(|| (MariaDb::shared().fresh(), MariaDb::shared().port())).await.unwrap();
    let mut server = MySqlServer::new(name);
    server.port = port;
    check(&Database::MySql(Box::new(server))).await;
}
