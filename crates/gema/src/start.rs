//! What every role does first.

use tokio::runtime::Runtime;

use crate::descriptors;
use crate::failure::Failure;
use crate::logging;
use crate::settings::{self, Inputs, Process, Roles, Settings};

/// Reads the settings of a role, starts logging, and says what the settings gave rise to.
pub(crate) fn settings(inputs: Inputs, role: Roles) -> Result<Settings, Failure> {
    let settings = settings::load(inputs, role)?.settings?;
    logging::start(&settings.process)?;
    settings.warnings.iter().for_each(|sentence| tracing::warn!("{sentence}"));
    settings.notices.iter().for_each(|sentence| tracing::info!("{sentence}"));
    Ok(settings)
}

/// Prepares the process for many connections and for TLS.
pub(crate) fn process(settings: &Process) {
    logging::say(settings, &descriptors::raise());
    tls();
}

/// Chooses the cryptography of TLS for the whole process, before anything uses it.
pub(crate) fn tls() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a provider for TLS was chosen already");
    }
}

/// The executor: one worker thread per core.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("the system gives no threads: {error}").into())
}
