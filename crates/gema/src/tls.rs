//! TLS of the listeners: which certificate they have, and its renewal while they run.

use std::time::Duration;

use gema_tls::{Acceptor, Files, LoadError, Part};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::settings::Process;

/// How often the files are looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// The certificate that the settings name. `None`: the listeners speak plain HTTP.
pub(crate) fn open(process: &Process) -> Result<Option<Acceptor>, Failure> {
    // One without the other is refused with the settings.
    let (Some(certificate), Some(key)) = (&process.tls_cert, &process.tls_key) else { return Ok(None) };
    let files = Files { certificate: certificate.clone(), key: key.clone() };
    Acceptor::open(files).map(Some).map_err(|error| sentence(&error).into())
}

/// Puts renewed certificates into use: looks every minute, and at once on SIGHUP. Needs a tokio runtime.
pub(crate) fn keep_fresh(acceptor: Option<&Acceptor>) -> Result<(), Failure> {
    if let Some(acceptor) = acceptor {
        let hangups = signal(SignalKind::hangup());
        let hangups = hangups.map_err(|error| format!("signals cannot be handled: {error}"))?;
        tokio::spawn(renew(acceptor.clone(), hangups));
    }
    Ok(())
}

async fn renew(acceptor: Acceptor, mut hangups: Signal) {
    loop {
        let asked = tokio::select! {
            Some(()) = hangups.recv() => true,
            () = sleep(LOOK_PAUSE) => false,
        };
        let acceptor = acceptor.clone();
        // A task that broke off has changed nothing; the next look is a new one.
        let _ = spawn_blocking(move || look(&acceptor, asked)).await;
    }
}

/// Reads the files if that was asked for or they have changed, and says what came of it.
fn look(acceptor: &Acceptor, asked: bool) {
    let renewed = if asked { acceptor.renew().map(|()| true) } else { acceptor.renew_if_changed() };
    match renewed {
        Ok(true) => tracing::info!("the certificate was read again; new connections get it"),
        Ok(false) => {}
        Err(error) => tracing::error!("the old certificate stays in use: {}", sentence(&error)),
    }
}

fn sentence(error: &LoadError) -> String {
    let setting = match error.part {
        Part::Certificate => "GEMA_TLS_CERT",
        Part::Key => "GEMA_TLS_KEY",
    };
    format!("{setting}: {error}")
}
