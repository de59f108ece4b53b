//! The list on a real Redis.

use gema_cluster::redis::Address;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::database::Database;

/// A list and a store with these rows: attendance, and whether somebody has it in hand.
async fn with_rows(redis: &gema_tests::Redis, rows: &[(i64, bool)]) -> (List, Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.sqlite");
    let database = Database::Sqlite(file.clone());
    crate::migrate(&database, false).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    for (number, (attendance, is_leased)) in rows.iter().enumerate() {
        let statement = "INSERT INTO outbox (attendance_id, user_id, event, event_id, public_data, private_data,
                         created_at, available_at, leased_until) VALUES (?, 1, 'e', ?, '{}', '{}', '2026', '2026', ?)";
        let until = is_leased.then_some("2999");
        let row = sqlx::query(statement).bind(attendance).bind(number.to_string()).bind(until);
        row.execute(&mut connection).await.unwrap();
    }
    let address = Address::parse(&redis.url()).unwrap().patient(4);
    let config = RedisConfig { address, prefix: "a:".to_owned() };
    let link = Redis::start(config.clone());
    let list = List::of(Queue::Redis, Some(&config), Some(&link)).unwrap();
    while list.link.stands_for().is_none() {
        sleep(Duration::from_millis(10)).await;
    }
    (list, Store::open(&database).await.unwrap(), dir)
}

fn listed(redis: &gema_tests::Redis) -> Vec<String> {
    redis.cli(&["LRANGE", "a:queues:default", "0", "-1"]).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn issue_6_a_sweep_appends_what_is_lost_and_nothing_twice() {
    let redis = gema_tests::Redis::start().await;
    let (list, store, _dir) =
        with_rows(&redis, &[(1, false), (1, false), (2, true), (3, false), (4, false)]).await;
    // The second waits for the first, the third is in somebody's hands, the fifth is listed already.
    list.push(&[5]).await.unwrap();
    for _ in 0..3 {
        assert!(list.sweep(&store).await.is_ok());
        assert_eq!(listed(&redis), ["5", "1", "4"]);
    }
    redis.cli(&["LPOP", "a:queues:default"]);
    assert!(list.sweep(&store).await.is_ok());
    assert_eq!(listed(&redis), ["1", "4", "5"]);
}

#[tokio::test]
async fn issue_6_a_list_does_not_grow_without_bound() {
    let redis = gema_tests::Redis::start().await;
    let (mut list, store, _dir) = with_rows(&redis, &[(1, false)]).await;
    list.most = 20;
    for start in (0..60).step_by(6) {
        list.push(&(start..start + 6).collect::<Vec<_>>()).await.unwrap();
    }
    assert_eq!(listed(&redis), (0..20).map(|id| id.to_string()).collect::<Vec<_>>(), "the oldest stay");

    redis.cli(&["DEL", "a:queues:default"]);
    list.most = MOST;
    list.push(&[7; LONG]).await.unwrap();
    assert!(list.sweep(&store).await.is_ok());
    assert_eq!(listed(&redis).len(), LONG, "a long list is left alone");
}

#[tokio::test]
async fn what_is_no_id_is_nothing() {
    let redis = gema_tests::Redis::start().await;
    let (list, _store, _dir) = with_rows(&redis, &[]).await;
    for value in ["", "x", "9223372036854775808", "1.5", " 1", "12"] {
        redis.cli(&["RPUSH", "a:queues:default", value]);
    }
    let mut popped = Vec::new();
    while !listed(&redis).is_empty() {
        popped.extend(list.pop(&list.link, 4).await.unwrap());
    }
    assert_eq!(popped, [12]);
}
