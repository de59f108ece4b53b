//! What an operator can see from outside: `/metrics` for Prometheus, `/live` and `/ready`, on a port of their own.
//!
//! The roles of a process put what they have to show on one [`Board`]. Gauges are read from where they live when somebody
//! asks, so they cannot drift; what has happened is counted where it happens ([`Counter`], [`Tally`]). [`Page`] writes the
//! text. Each name is explained in `docs/metrics.md`.

mod board;
mod counts;
mod listener;
mod page;
mod process;

pub use board::{Board, Health, Shown, Source, Task};
pub use counts::{Counter, Tally};
pub use listener::serve;
pub use page::{Family, Page};
