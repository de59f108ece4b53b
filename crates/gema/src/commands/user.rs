//! `gema user add`: an account, made by whoever may write to the database. Its password is never an argument: those are
//! shown to everybody on the machine.

use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};

use gema_attendance::NewAccount;
use gema_protocol::app::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::cli::NewUser;
use crate::database::database;
use crate::failure::{Ended, Failure};
use crate::logging::print;
use crate::settings::{Inputs, Roles};
use crate::start;

/// Bytes that are read of a line; no password is as long.
const LONGEST: u64 = 4_096;

/// Makes it.
pub(crate) fn add(inputs: Inputs, new: NewUser) -> Ended {
    let settings = start::settings(inputs, Roles::MIGRATE)?;
    let database = database(&settings.process)?;
    let password = Secret::new(if stdin().is_terminal() { ask_twice()? } else { line()? });
    start::tls();
    let NewUser { email, name, is_admin } = new;
    let account = NewAccount { email, name, password, is_admin };
    let made = start::runtime()?.block_on(gema_attendance::add_account(&database, account));
    let email = made.map_err(|error| error.to_string())?;
    let role = if is_admin { "admin" } else { "employee" };
    print(&format!("made the account {email}, {role}, in the database {database}"));
    Ok(())
}

fn ask_twice() -> Result<String, Failure> {
    let (first, second) = (ask("Password: ")?, ask("The same again: ")?);
    if first == second {
        Ok(first)
    } else {
        Err("the two passwords differ: nothing was changed".to_owned().into())
    }
}

/// Asks for a line that the terminal does not show.
fn ask(prompt: &str) -> Result<String, Failure> {
    let cannot = |error| format!("the terminal cannot be told to hide the password: {error}");
    let shown = tcgetattr(stdin()).map_err(cannot)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin(), OptionalActions::Flush, &hidden).map_err(cannot)?;
    eprint!("{prompt}");
    let line = line();
    tcsetattr(stdin(), OptionalActions::Now, &shown).map_err(cannot)?;
    eprintln!();
    line
}

/// A line of standard input without its end.
fn line() -> Result<String, Failure> {
    let mut text = String::new();
    let read = stdin().lock().take(LONGEST).read_line(&mut text);
    read.map_err(|error| format!("no password can be read from standard input: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(
            "no password was given: type it when asked, or send it as the first line of standard input"
                .to_owned()
                .into(),
        );
    }
    Ok(text.to_owned())
}
