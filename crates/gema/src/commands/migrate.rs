//! `gema migrate [--seed]`: brings the database up to date; with `--seed` it also makes the demo account.

use gema_attendance::{DEMO_EMAIL, DEMO_PASSWORD};

use crate::database::database;
use crate::failure::Ended;
use crate::logging::print;
use crate::settings::{Inputs, Roles, Settings};
use crate::start;

/// Does it. Doing it again changes nothing.
pub(crate) fn run(inputs: Inputs, seed: bool) -> Ended {
    let settings = start::settings(inputs, Roles::MIGRATE)?;
    start::runtime()?.block_on(migrate(&settings, seed))
}

async fn migrate(settings: &Settings, seed: bool) -> Ended {
    let database = database(&settings.process)?;
    let done = gema_attendance::migrate(&database, seed).await.map_err(|error| error.to_string())?;
    print(&match done.applied {
        0 => format!("the database {database} was up to date"),
        applied => format!("the database {database} is up to date; migrations applied: {applied}"),
    });
    if seed {
        let state = if done.seeded { "made" } else { "there already, unless changed" };
        print(&format!(
            "demo account ({state}): {DEMO_EMAIL} with the password `{DEMO_PASSWORD}`; change it before others can \
             reach this machine"
        ));
    }
    Ok(())
}
