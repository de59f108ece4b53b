//! `gema attendance`: the attendance API alone. Workers publish its events.

use std::net::SocketAddr;

use gema_attendance::Node;
use tokio::net::TcpListener;

use crate::database::database;
use crate::failure::{Ended, Failure};
use crate::listen::{self, Address};
use crate::logging::say;
use crate::settings::{Inputs, Process, Roles, Scheme, Settings};
use crate::shutdown::Shutdown;
use crate::wiring::Listeners;
use crate::{metrics, start, tls, wiring};

/// How this role is called when it ends.
pub(super) const ROLE: &str = "attendance API";

/// Serves until a signal asks for the end.
pub(crate) fn run(inputs: Inputs) -> Ended {
    let settings = start::settings(inputs, Roles::ATTENDANCE)?;
    start::process(&settings.process);
    start::runtime()?.block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> Ended {
    let shutdown = Shutdown::listen()?;
    let (listener, address) = bind(&settings.process)?;
    let metrics = metrics::open(&settings.process)?;
    let tls = tls::open(&settings.process, Roles::ATTENDANCE)?;
    tls::keep_fresh(tls.as_ref())?;
    let listeners = Listeners { broadcast: None, attendance: Some(address), tls };
    wiring::check_redis(&settings.process, Roles::ATTENDANCE).await?;
    let config = wiring::attendance(settings, &listeners, &metrics)?;
    let is_publishing = config.worker.in_process;
    let node = Node::open(config, address).await.map_err(|error| error.to_string())?;
    introduce(settings, address, listeners.scheme())?;
    if !is_publishing {
        say(&settings.process, "events wait for `gema worker`, which publishes them");
    }
    let limit = wiring::drain(&settings.process);
    let run = node.run(listener, shutdown.requested());
    end(&settings.process, ROLE, shutdown.within(limit, run).await)
}

/// Listens where the settings say.
pub(super) fn bind(process: &Process) -> Result<(TcpListener, SocketAddr), Failure> {
    listen::bind(&Address {
        host: &process.app_host,
        port: process.app_port.get(),
        host_name: "APP_HOST",
        port_name: "APP_PORT",
    })
}

/// Says where the API listens.
pub(super) fn introduce(settings: &Settings, address: SocketAddr, scheme: Scheme) -> Ended {
    let process = &settings.process;
    let node: u32 = process.node_id.get();
    let (scheme, database) = (scheme.as_str(), database(process)?);
    say(process, &format!("attendance API on {scheme}://{address}, node {node}, {database}"));
    Ok(())
}

/// Says how a role ended; `None` stands for a drain that took too long.
pub(super) fn end(
    process: &Process,
    role: &str,
    outcome: Option<Result<(), gema_attendance::StartError>>,
) -> Ended {
    let sentence = match outcome {
        Some(outcome) => {
            outcome.map_err(|error| error.to_string())?;
            format!("{role} stopped")
        }
        None => {
            let seconds = wiring::drain(process).as_secs();
            format!("{role} stopped after {seconds} seconds, with work unfinished; no event is lost")
        }
    };
    say(process, &sentence);
    Ok(())
}
