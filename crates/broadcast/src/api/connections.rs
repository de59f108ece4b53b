//! `GET /apps/{id}/connections`: how many clients are connected. An extension of Reverb that Laravel Pulse asks for.

use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;

/// `{"connections":N}`, of all nodes.
pub(super) async fn get(request: &Signed<'_>) -> Answer {
    let connections = match request.app.cluster.node() {
        Some(node) => node.connections().await,
        None => request.app.connections.len() as u64,
    };
    answer::json(&json!({ "connections": connections }))
}
