//! What broadcast nodes share through Redis: events, in order and without loss through its faults.
//!
//! The pure half: names of keys and topics ([`name`]), sealed messages ([`seal`], [`entry`]), what a node still has to tell
//! the others ([`outgoing`] of events, [`truth`] of its clients), what it has heard of a channel ([`inbox`]), which topics
//! it holds ([`interest`]) and under which ids it speaks ([`identity`]). None of it knows Redis, sockets or a clock. The
//! other half is the place where nodes meet: [`engine`] is the seam, [`redis`] implements it, and the test kit does in
//! memory; [`node`] drives the pure half over it.

pub mod clock;
pub mod engine;
pub mod entry;
mod field;
pub mod identity;
pub mod inbox;
pub mod interest;
pub mod lease;
pub mod name;
pub mod node;
pub mod outgoing;
pub mod redis;
pub mod replica;
pub mod seal;
pub mod telling;
pub mod truth;
pub mod webhook;
