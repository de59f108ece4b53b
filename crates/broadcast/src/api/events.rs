//! `POST /apps/{id}/events`: one event to 1–100 channels.

use std::collections::BTreeMap;

use gema_protocol::publish::parse_event;
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo};
use super::publish::publish;
use crate::server::Shared;

/// 200 `{}`, or with `info` the asked attributes of each channel.
pub(super) async fn post(shared: &Shared, request: &Signed) -> Result<Answer, Answer> {
    let event =
        parse_event(&request.body, &request.app.config.limits).map_err(|e| answer::publish_error(&e))?;
    for name in &event.channels {
        info::check(&request.app, name, &event.info)?;
    }
    publish(shared, &request.app, std::slice::from_ref(&event)).await?;
    if !event.info.given {
        return Ok(answer::empty());
    }
    let infos = event.channels.iter().map(|name| (&**name, ChannelInfo::of(&request.app, name, &event.info)));
    Ok(answer::json(&json!({ "channels": infos.collect::<BTreeMap<_, _>>() })))
}
