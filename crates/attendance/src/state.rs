//! What every handler can reach. Made once at the start, cheap to clone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Config;
use crate::domain::WorkingDay;
use crate::password::Passwords;
use crate::store::{Store, Writer};
use crate::throttle::Throttle;

/// Shared by all requests of one node.
pub(crate) type App = Arc<State>;

#[derive(Debug)]
pub(crate) struct State {
    pub config: Config,
    pub store: Store,
    pub working_day: WorkingDay,
    pub passwords: Passwords,
    pub throttle: Throttle,
    /// Rung after each commit that added an event.
    pub wake: Arc<Notify>,
    /// Where the API listens; decides whether the demo password is worth a warning.
    pub address: SocketAddr,
}

impl State {
    /// This node, as the author of a change.
    pub(crate) fn writer(&self) -> Writer {
        Writer { node_id: self.config.node_id, public_details: self.config.public_details }
    }

    /// How long an unused browser session lasts.
    pub(crate) fn session_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.session_minutes) * 60)
    }
}
