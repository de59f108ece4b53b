//! `gema`, the binary: commands and wiring. What the servers do lives in `gema-broadcast` and `gema-attendance`.
//!
//! A server role goes: settings or an exit with a sentence → logging → bind → build → say the addresses and limits →
//! serve → signal → drain → say what happened. Each command is one file of `commands/`; `settings/` decides what counts.

mod allocator;
mod cli;
mod commands;
mod database;
mod descriptors;
mod failure;
mod listen;
mod logging;
mod metrics;
mod shutdown;
mod start;
mod tls;
mod wiring;

mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::FAILURE
        }
    }
}
