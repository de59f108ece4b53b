//! Black-box tests of the broadcast server: one process per test, on ports of its own. One file per subject.

mod access;
mod cache;
mod client_events;
mod connect;
mod hostile;
mod http;
mod liveness;
mod older_forms;
mod options;
mod order;
mod prefix;
mod presence;
mod presence_queries;
mod publish;
mod queries;
mod refusals;
mod rfc6455;
mod shutdown;
mod signatures;
mod signin;
mod sizes;
mod slow_reader;
mod subscribe;
mod tls;
mod tls_hostile;
mod watchlist;
