//! `gema migrate [--seed]`: brings the database up to date; with `--seed` it also makes the demo account.

use crate::failure::Ended;
use crate::settings::{Inputs, Roles, Settings};
use crate::{start, wiring};

/// Does it. Doing it again changes nothing.
pub(crate) fn run(inputs: Inputs, seed: bool) -> Ended {
    let settings = start::settings(inputs, Roles::MIGRATE)?;
    start::runtime()?.block_on(migrate(&settings, seed))
}

async fn migrate(settings: &Settings, seed: bool) -> Ended {
    let process = &settings.process;
    gema_attendance::migrate(&wiring::database_url(process), seed).await.map_err(|error| error.to_string())?;
    println!("the database {} is up to date", process.db_database.display());
    if seed {
        println!(
            "demo account: {} with the password `{}`; change it before others can reach this machine",
            gema_attendance::DEMO_EMAIL,
            gema_attendance::DEMO_PASSWORD
        );
    }
    Ok(())
}
