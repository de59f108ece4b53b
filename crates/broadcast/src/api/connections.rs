//! `GET /apps/{id}/connections`: how many clients are connected. An extension of Reverb that Laravel Pulse asks for.

use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;

/// `{"connections":N}`.
pub(super) fn get(request: &Signed<'_>) -> Answer {
    answer::json(&json!({ "connections": request.app.connections.len() }))
}
