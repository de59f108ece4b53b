//! The tests of `tests/api` once more, on a MariaDB server, and in `server` what only a server can do: refuse, be away,
//! come back.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../api/accounts.rs"]
mod accounts;
#[path = "../api/attendances.rs"]
mod attendances;
#[path = "../api/broadcasting_auth.rs"]
mod broadcasting_auth;
#[path = "../api/csrf.rs"]
mod csrf;
#[path = "../api/dashboard.rs"]
mod dashboard;
#[path = "../api/export.rs"]
mod export;
#[path = "../api/failed.rs"]
mod failed;
#[path = "../api/kit.rs"]
mod kit;
#[path = "../api/login.rs"]
mod login;
#[path = "../api/outbox.rs"]
mod outbox;
#[path = "../api/queue.rs"]
mod queue;
#[path = "../api/records.rs"]
mod records;
mod server;
#[path = "../api/shared.rs"]
mod shared;
#[path = "../api/start.rs"]
mod start;
#[path = "../api/summary.rs"]
mod summary;
#[path = "../api/throttle.rs"]
mod throttle;
#[path = "../api/users.rs"]
mod users;

use std::path::Path;

use gema_attendance::Database;
use gema_tests::MariaDb;

/// What each stage of the kit has.
fn database(_folder: &Path) -> Database {
    server::on(MariaDb::shared())
}
