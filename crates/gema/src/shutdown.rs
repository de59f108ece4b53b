//! The end of a process: the first SIGTERM or SIGINT asks for it, a second one forces it.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// The status of a process that was told to stop twice and dropped what was under way.
const FORCED: i32 = 1;

/// Knows whether the end was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    asked: watch::Receiver<bool>,
}

impl Shutdown {
    /// Starts listening for signals. Needs a tokio runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let install = |kind| signal(kind).map_err(|error| format!("signals cannot be handled: {error}"));
        let signals = (install(SignalKind::terminate())?, install(SignalKind::interrupt())?);
        let (ask, asked) = watch::channel(false);
        tokio::spawn(watch_signals(signals, ask));
        Ok(Self { asked })
    }

    /// Ends when the end is asked for.
    pub(crate) fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut asked = self.asked.clone();
        async move {
            // The sender lives as long as the process; were it gone, ending would be right as well.
            let _ = asked.wait_for(|asked| *asked).await;
        }
    }

    /// Runs `work`, which ends by itself after the request; `None` if it needs longer than `limit` for that.
    pub(crate) async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let requested = self.requested();
        let late = async {
            requested.await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            done = work => Some(done),
            () = late => None,
        }
    }
}

async fn watch_signals((mut terminate, mut interrupt): (Signal, Signal), ask: watch::Sender<bool>) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping; a second signal ends at once");
    // Nobody waits any more if this fails, and the process ends anyway.
    let _ = ask.send(true);
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("ending at once");
    std::process::exit(FORCED);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
