//! Black-box tests of the broadcast server: one process per test, on ports of its own. One file per subject.

mod access;
mod cache;
mod client_events;
mod connect;
mod hostile;
mod liveness;
mod order;
mod prefix;
mod presence;
mod publish;
mod queries;
mod refusals;
mod shutdown;
mod signin;
mod slow_reader;
mod subscribe;
mod watchlist;
