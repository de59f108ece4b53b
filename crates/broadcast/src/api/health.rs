//! `GET /live` and `GET /ready`: what a balancer or an orchestrator wants to know. Both are cheap and need no signature.

use serde_json::json;

use super::answer::{self, Answer};
use crate::server::Shared;

/// The process answers; it says nothing about what it needs from elsewhere.
pub(crate) fn live() -> Answer {
    answer::json(&json!({ "status": "ok" }))
}

/// Whether new clients shall be sent here. Not while the server drains. Without Redis it still serves its own clients, and
/// so would no other server do better: that is `degraded`, with 200, or a balancer would take all of them away at once.
pub(crate) fn ready(shared: &Shared) -> Answer {
    if shared.is_ending() {
        return answer::draining();
    }
    let degraded = shared.apps.all().any(|app| app.cluster.is_on() && !app.cluster.is_linked());
    let status =
        if degraded { json!({ "status": "degraded", "redis": "away" }) } else { json!({ "status": "ok" }) };
    answer::json(&status)
}
