//! What clients see of faults: real processes, a real Redis, and wires between them that break.
//!
//! Every scenario has a Redis and nodes of its own, and spends its time waiting, so those of one test run at once. The long
//! forms (`make chaos`) are the same scenarios with the lengths of real outages.

mod death;
mod events;
mod interest;
mod local;
mod losses;
mod model;
mod sharing;
mod stage;
mod users;
mod webhooks;
