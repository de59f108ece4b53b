//! The attendance API from outside: the real listener, a real SQLite file, and a broadcast server that takes notes.
//!
//! One file per route; `kit` starts and ends everything. The rules of delivery are in `outbox`. The same tests run on
//! MariaDB in `tests/mysql`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod accounts;
mod attendances;
mod broadcasting_auth;
mod csrf;
mod dashboard;
mod export;
mod failed;
mod kit;
mod login;
mod outbox;
mod queue;
mod records;
mod shared;
mod sqlite;
mod start;
mod summary;
mod throttle;
mod users;

use std::path::Path;

use gema_attendance::Database;

/// What each stage of the kit has.
fn database(folder: &Path) -> Database {
    Database::Sqlite(folder.join("gema.sqlite"))
}
