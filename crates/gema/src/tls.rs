//! TLS of the listeners: which certificate they have, and its renewal while they run.

use std::path::PathBuf;
use std::time::Duration;

use gema_tls::{Acceptor, Files, LoadError, Part};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::settings::{Process, Roles};

/// How often the files are looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// Where Laravel Valet keeps the certificates of its sites, below the home folder; Reverb looks there, too.
const VALET: [&str; 2] = [".config/valet/Certificates", ".valet/Certificates"];

/// The certificate of this role's listeners: as set, else Valet's. `None`: they speak plain HTTP.
pub(crate) fn open(process: &Process, role: Roles) -> Result<Option<Acceptor>, Failure> {
    // One without the other is refused with the settings.
    let set = process.tls_cert.clone().zip(process.tls_key.clone());
    let files = set.map(|(certificate, key)| Files { certificate, key }).or_else(|| valet(process, role));
    files.map(Acceptor::open).transpose().map_err(|error| sentence(&error).into())
}

/// The certificate that Valet has for `REVERB_HOST`, if that is a name of this machine: for the broadcast server.
fn valet(process: &Process, role: Roles) -> Option<Files> {
    let host = process.public_host.as_ref().filter(|_| role.meets(Roles::BROADCAST.or(Roles::SERVE)))?;
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let files = VALET.iter().map(|folder| {
        let of = |kind| home.join(folder).join(format!("{}.{kind}", host.0));
        Files { certificate: of("crt"), key: of("key") }
    });
    files.into_iter().find(|files| files.certificate.is_file() && files.key.is_file())
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

#[cfg(test)]
mod tests {
    use gema_tests::Authority;

    use super::*;

    /// Time is tokio's and moves when nothing else does.
    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_found_without_a_signal() {
        let authority = Authority::new();
        let certificate = authority.issue("server");
        let files = Files { certificate: certificate.cert, key: certificate.key };
        let acceptor = Acceptor::open(files).unwrap();
        keep_fresh(Some(&acceptor)).unwrap();
        authority.issue("server");
        sleep(LOOK_PAUSE + Duration::from_secs(1)).await;
        assert!(!acceptor.renew_if_changed().unwrap(), "the change has been seen already");
    }
}
