//! What broadcast nodes share: events, who is present, and which node is alive.
//!
//! The pure half is here: names of keys and topics ([`name`]), sealed messages ([`seal`], [`entry`]), what a node still
//! has to tell the others ([`outgoing`]) and what it has heard of a channel ([`inbox`]). None of it knows Redis, sockets
//! or a clock: times are arguments.

pub mod entry;
pub mod inbox;
pub mod name;
pub mod outgoing;
pub mod seal;
