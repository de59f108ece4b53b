//! The port where operators look, if it is set.

use gema_metrics::Board;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::listen::{self, Address};
use crate::logging::say;
use crate::settings::Process;

/// What the roles of this process show, served until it is dropped.
pub(crate) struct Metrics {
    /// Where the roles put it.
    pub(crate) board: Board,
    _serving: JoinSet<()>,
}

/// Listens where metrics are to be shown, and says where that is.
pub(crate) fn open(process: &Process) -> Result<Metrics, Failure> {
    let (board, mut serving) = (Board::default(), JoinSet::new());
    if let Some(port) = &process.metrics_port {
        let (listener, address) = listen::bind(&Address {
            host: &process.metrics_host,
            port: port.get(),
            host_name: "GEMA_METRICS_HOST",
            port_name: "GEMA_METRICS_PORT",
        })?;
        say(process, &format!("metrics on http://{address}/metrics"));
        serving.spawn(gema_metrics::serve(board.clone(), listener));
    }
    Ok(Metrics { board, _serving: serving })
}
