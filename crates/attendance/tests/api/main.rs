//! The attendance API from outside: the real listener, a real SQLite file, and a broadcast server that takes notes.
//!
//! One file per route; `kit` starts and ends everything. The rules of delivery are in `outbox`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod attendances;
mod broadcasting_auth;
mod csrf;
mod dashboard;
mod kit;
mod login;
mod outbox;
mod start;
mod users;
