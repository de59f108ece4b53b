//! What every handler can reach. Made once at the start, cheap to clone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::domain::WorkingDay;
use crate::metrics::Counts;
use crate::password::Passwords;
use crate::redis::Redis;
use crate::store::{Store, Writer};

/// Shared by all requests of one node.
pub(crate) type App = Arc<State>;

#[derive(Debug)]
pub(crate) struct State {
    pub config: Config,
    pub store: Store,
    pub counts: Arc<Counts>,
    /// What is quick and may be lost, if there is a Redis for it.
    pub redis: Option<Redis>,
    pub working_day: WorkingDay,
    pub passwords: Passwords,
    /// Where the API listens; decides whether the demo password is worth a warning.
    pub address: SocketAddr,
}

impl State {
    /// This node, as the author of a change.
    pub(crate) fn writer(&self) -> Writer {
        Writer { node_id: self.config.node_id, public_details: self.config.public_details }
    }

    /// How far the end of a session that the database knows may be behind the true one, while Redis has that.
    pub(crate) fn session_lag(&self) -> Duration {
        self.config.session_lifetime / 8
    }
}
