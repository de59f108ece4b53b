//! Black-box tests of the broadcast server: one process per test, on ports of its own. One file per subject.

mod client_events;
mod connect;
mod hostile;
mod liveness;
mod order;
mod prefix;
mod publish;
mod queries;
mod refusals;
mod shutdown;
mod slow_reader;
mod subscribe;
