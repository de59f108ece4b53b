//! Several servers behind the real nginx: what it repeats and what not, and a restart of one server under load that nobody
//! notices but by a short reconnect.
//!
//! `make rolling` runs the restart with 15,000 clients.

mod crowd;
mod moving;
mod proxy;
mod restart;
