//! A fault of ours (a panic) in one connection: caught, logged with its socket id and counted. It ends that connection
//! and harms nobody else: what the connection held goes by `Drop`, as at any end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::app::App;
use crate::outbound::Outbound;

/// Does the work, or tells why it could not. What the work has touched is only dropped afterwards.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| reason(panic.as_ref()))
}

/// Counts the fault and tells the operator.
pub(super) fn report(app: &App, outbound: &Outbound, reason: &str) {
    let faults = app.faults.fetch_add(1, Ordering::Relaxed) + 1;
    tracing::error!(
        app = app.config.credentials.id,
        socket_id = %outbound.id(),
        reason,
        faults,
        "a fault of the server ended this connection; please report it"
    );
}

/// The text of the panic.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".to_owned())
}
