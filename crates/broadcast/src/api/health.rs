//! `GET /live` and `GET /ready`: what a balancer or an orchestrator wants to know. Both are cheap and need no signature.

use gema_metrics::Health;

use super::answer::{self, Answer};
use crate::server::Shared;

/// The process answers; it says nothing about what it needs from elsewhere.
pub(crate) fn live() -> Answer {
    answer::health(Health::Well)
}

/// Whether new clients shall be sent here.
pub(crate) fn ready(shared: &Shared) -> Answer {
    answer::health(of(shared))
}

/// While the server drains, new clients shall go elsewhere. Without Redis it still serves its own clients, and so would no
/// other server do better: a balancer that heard something else would take all of them away at once.
pub(crate) fn of(shared: &Shared) -> Health {
    if shared.is_ending() {
        return Health::Ending;
    }
    let is_alone = shared.apps.all().any(|app| app.cluster.is_on() && !app.cluster.is_linked());
    if is_alone { Health::Degraded("redis") } else { Health::Well }
}
