//! `gema broadcast`: the Pusher and Reverb compatible server alone.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::failure::{Ended, Failure};
use crate::listen::{self, Address};
use crate::logging::say;
use crate::settings::{Inputs, Process, Roles, Scheme, Settings};
use crate::shutdown::Shutdown;
use crate::wiring::Listeners;
use crate::{metrics, start, tls, wiring};

/// What the end of a server may take beyond the time that is set; it looks after its own time and is done before.
pub(super) const LATE: Duration = Duration::from_secs(20);

/// Serves until a signal asks for the end.
pub(crate) fn run(inputs: Inputs) -> Ended {
    let settings = start::settings(inputs, Roles::BROADCAST)?;
    start::process(&settings.process);
    start::runtime()?.block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> Ended {
    let shutdown = Shutdown::listen()?;
    let (listener, address) = bind(&settings.process)?;
    let metrics = metrics::open(&settings.process)?;
    let tls = tls::open(&settings.process, Roles::BROADCAST)?;
    tls::keep_fresh(tls.as_ref())?;
    let listeners = Listeners { broadcast: Some(address), attendance: None, tls };
    let limit = wiring::drain(&settings.process);
    wiring::check_redis(&settings.process, Roles::BROADCAST).await?;
    let server = wiring::broadcast(settings, listeners.tls.clone(), limit, &metrics)?;
    introduce(settings, address, listeners.scheme());
    let run = gema_broadcast::run(server, listener, shutdown.requested());
    say_end(&settings.process, shutdown.within(limit + LATE, run).await);
    Ok(())
}

/// Listens where the settings say.
pub(super) fn bind(process: &Process) -> Result<(TcpListener, SocketAddr), Failure> {
    listen::bind(&Address {
        host: &process.server_host,
        port: process.server_port.get(),
        host_name: "REVERB_SERVER_HOST",
        port_name: "REVERB_SERVER_PORT",
    })
}

/// Says where the server listens and what it allows.
pub(super) fn introduce(settings: &Settings, address: SocketAddr, scheme: Scheme) {
    let process = &settings.process;
    let public =
        process.public_host.as_ref().map(|host| format!(", to be reached as {}", host.0)).unwrap_or_default();
    let scheme = scheme.as_str();
    say(process, &format!("broadcast server on {scheme}://{address}{}{public}", process.server_path.0));
    for (app, webhook) in &settings.webhooks {
        let url = webhook.url.as_ref().map(ToString::to_string);
        tracing::info!(app, endpoint = url, "webhooks are sent");
    }
    for (credentials, app) in &settings.apps {
        let limits = wiring::limits(app, process);
        let sentence = format!(
            "app {}: messages of clients up to {} bytes, data of events up to {}, requests up to {}",
            credentials.id, limits.client_message, limits.event_data, limits.request_body
        );
        say(process, &sentence);
        if app.allowed_origins.0.iter().any(|pattern| pattern == "*") {
            tracing::info!(
                app = credentials.id,
                "pages of any origin may connect; REVERB_APP_ALLOWED_ORIGINS limits them"
            );
        }
    }
}

/// Says that something went wrong, if it did, and in the last line how it ended; `None`: it took too long.
pub(super) fn say_end(process: &Process, summary: Option<gema_broadcast::Summary>) {
    let sentence = match summary {
        Some(summary) => format!(
            "broadcast server stopped; connections closed: {}, gone before their turn: {}, cut: {}; events that other \
             servers will not get: {}; after {:.1} seconds",
            summary.closed,
            summary.gone,
            summary.left,
            summary.lost,
            summary.took.as_secs_f64()
        ),
        None => "broadcast server stopped with work unfinished: it took too long".to_owned(),
    };
    if let Some(faults) = summary.map(|summary| summary.faults).filter(|faults| *faults > 0) {
        say(
            process,
            &format!("connections that a fault of the server has ended: {faults}; each is in the log"),
        );
    }
    say(process, &sentence);
}
