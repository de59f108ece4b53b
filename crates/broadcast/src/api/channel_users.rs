//! `GET /apps/{id}/channels/{name}/users`: the distinct users of a presence channel.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::channel::parse_name;

/// `{"users":[{"id":"1"},…]}`, empty when nobody is there; 400 for other kinds of channels.
pub(super) async fn get(request: &Signed<'_>, raw_name: &str) -> Result<Answer, Answer> {
    let name = parse_name(request, raw_name)?;
    if !name.kind().is_presence() {
        return Err(answer::bad_request("Users can be listed for presence channels only."));
    }
    let there = match request.app.cluster.node() {
        Some(node) => node.users_of(&name).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let here = request.app.channels.get(&name).map_or_else(Vec::new, |channel| channel.user_ids());
    let ids: BTreeSet<String> = there.into_iter().chain(here).collect();
    let users: Vec<Value> = ids.into_iter().map(|id| json!({ "id": id })).collect();
    Ok(answer::json(&json!({ "users": users })))
}
