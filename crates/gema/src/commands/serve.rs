//! `gema serve`: broadcast server, attendance API and worker in one process.

use gema_attendance::Node;
use tokio::sync::oneshot;

use crate::failure::Ended;
use crate::logging::say;
use crate::settings::{Inputs, Roles, Settings};
use crate::shutdown::Shutdown;
use crate::wiring::Listeners;
use crate::{metrics, start, tls, wiring};

use super::{attendance, broadcast};

/// Serves until a signal asks for the end.
pub(crate) fn run(inputs: Inputs) -> Ended {
    let settings = start::settings(inputs, Roles::SERVE)?;
    start::process(&settings.process);
    start::runtime()?.block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> Ended {
    let process = &settings.process;
    let shutdown = Shutdown::listen()?;
    let (sockets, sockets_at) = broadcast::bind(process)?;
    let (api, api_at) = attendance::bind(process)?;
    let metrics = metrics::open(process)?;
    let tls = tls::open(process, Roles::SERVE)?;
    tls::keep_fresh(tls.as_ref())?;
    let limit = wiring::drain(process);
    wiring::check_redis(process, Roles::SERVE).await?;
    // Requests and events of the API end first and have had their shares by then.
    let server = wiring::broadcast(settings, tls.clone(), limit / 3, &metrics)?;
    let listeners = Listeners { broadcast: Some(sockets_at), attendance: Some(api_at), tls };
    let config = wiring::attendance(settings, &listeners, &metrics)?;
    let node = Node::open(config, api_at).await.map_err(|error| error.to_string())?;
    broadcast::introduce(settings, sockets_at, listeners.scheme());
    attendance::introduce(settings, api_at, listeners.scheme())?;
    say(process, &format!("open {}", wiring::app_url(process, &listeners)));

    // The API ends first: what it stored until then can still be published.
    let (end_sockets, sockets_end) = oneshot::channel();
    let run = async {
        let sockets = gema_broadcast::run(server, sockets, async { drop(sockets_end.await) });
        let api = async {
            let outcome = node.run(api, shutdown.requested()).await;
            let _ = end_sockets.send(());
            outcome
        };
        tokio::join!(sockets, api)
    };
    let (summary, outcome) = shutdown.within(limit + broadcast::LATE, run).await.unzip();
    attendance::end(process, attendance::ROLE, outcome)?;
    broadcast::say_end(process, summary);
    Ok(())
}
