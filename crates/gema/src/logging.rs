//! Log lines on standard error, and the few lines of a start on standard output.

use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::settings::{LogFormat, Process};

/// Starts logging as the settings say.
pub(crate) fn start(settings: &Process) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(&settings.log.0);
    let filter = filter.map_err(|error| {
        format!(
            "GEMA_LOG is {:?}, which is not a filter such as info,gema_broadcast=debug: {error}",
            settings.log.0
        )
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// Tells the user what is going on: a plain line for people, a log line where machines read them.
pub(crate) fn say(settings: &Process, sentence: &str) {
    match settings.log_format {
        LogFormat::Text => print(sentence),
        LogFormat::Json => tracing::info!("{sentence}"),
    }
}

/// Prints a line. A reader that has gone away is no reason to stop a server, as `println!` would.
pub(crate) fn print(sentence: &str) {
    let _ = writeln!(std::io::stdout(), "{sentence}");
}
