//! `gema worker`: publishes the events of records that attendance nodes stored.

use crate::failure::Ended;
use crate::logging::say;
use crate::settings::{Inputs, Roles, Settings};
use crate::shutdown::Shutdown;
use crate::wiring::Listeners;
use crate::{metrics, start, wiring};

/// Works until a signal asks for the end.
pub(crate) fn run(inputs: Inputs) -> Ended {
    let settings = start::settings(inputs, Roles::WORKER)?;
    start::process(&settings.process);
    start::runtime()?.block_on(work(&settings))
}

async fn work(settings: &Settings) -> Ended {
    let shutdown = Shutdown::listen()?;
    wiring::check_redis(&settings.process, Roles::WORKER).await?;
    let metrics = metrics::open(&settings.process)?;
    let config = wiring::attendance(settings, &Listeners::default(), &metrics)?;
    say(&settings.process, &format!("worker on {}", config.database));
    let limit = wiring::drain(&settings.process);
    let run = gema_attendance::run_worker(config, shutdown.requested());
    super::attendance::end(&settings.process, "worker", shutdown.within(limit, run).await)
}
