//! One file per command.

mod attendance;
mod broadcast;
mod config;
mod health;
mod init;
mod migrate;
mod queue;
mod serve;
mod sign;
mod user;
mod verify;
mod worker;

use crate::cli::{Action, Invocation};
use crate::failure::Ended;

/// Does what was asked for.
pub(crate) fn run(Invocation { action, inputs }: Invocation) -> Ended {
    match action {
        Action::Serve => serve::run(inputs),
        Action::Broadcast => broadcast::run(inputs),
        Action::Attendance => attendance::run(inputs),
        Action::Worker => worker::run(inputs),
        Action::Migrate { seed } => migrate::run(inputs, seed),
        Action::Queue(queue) => queue::run(inputs, queue),
        Action::UserAdd(new) => user::add(inputs, new),
        Action::Init => init::run(),
        Action::Health(url) => health::run(&url),
        Action::ConfigCheck(role) => config::check(inputs, role),
        Action::ConfigPrint(role) => config::print(inputs, role),
        Action::ConfigReference => config::reference(),
        Action::Sign(signing) => sign::run(inputs, &signing),
        Action::Verify(signing) => verify::run(inputs, &signing),
    }
}
