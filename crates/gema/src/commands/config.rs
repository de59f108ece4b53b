//! `gema config check|print|reference`: what the settings are, whether they will do, and what they mean.

use std::io::{ErrorKind, Write as _};

use crate::failure::Ended;
use crate::settings::{self, Inputs, Roles};
use crate::tls;

/// Reads the settings of a role and says all that is wrong with them.
pub(crate) fn check(inputs: Inputs, role: Roles) -> Ended {
    let settings = settings::load(inputs, role)?.settings?;
    if role.meets(Roles::LISTENERS) {
        tls::open(&settings.process, role)?;
    }
    let told = settings.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    let told = told.chain(settings.notices.iter().map(|notice| format!("note: {notice}\n")));
    write(&(told.collect::<String>() + "the settings are in order\n"))
}

/// Prints the settings in effect, then says what is wrong with them.
pub(crate) fn print(inputs: Inputs, role: Roles) -> Ended {
    let outcome = settings::load(inputs, role)?;
    write(&settings::print(&outcome.rows))?;
    outcome.settings?;
    Ok(())
}

/// Prints the reference page.
pub(crate) fn reference() -> Ended {
    write(&settings::reference())
}

/// Prints a page; a reader that has seen enough (`| head`) is no failure.
pub(super) fn write(page: &str) -> Ended {
    match std::io::stdout().write_all(page.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot print: {error}").into()),
        _ => Ok(()),
    }
}
