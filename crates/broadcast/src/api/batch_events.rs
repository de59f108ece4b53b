//! `POST /apps/{id}/batch_events`: several events, each to one channel. All are published or none.

use gema_protocol::publish::{Publish, parse_batch};
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo};
use super::publish::publish;
use crate::app::App;
use crate::server::Shared;

/// 200 `{}`, or `{"batch":[…]}` in the same order and length when any event asks for `info`.
pub(super) async fn post(shared: &Shared, request: &Signed<'_>) -> Result<Answer, Answer> {
    let events =
        parse_batch(&request.body, &request.app.config.limits).map_err(|e| answer::publish_error(&e))?;
    for (event, name) in events.iter().flat_map(|event| event.channels.iter().map(move |name| (event, name)))
    {
        info::check(&request.app, name, &event.info)?;
    }
    publish(shared, &request.app, &events, request.confirmation()).await?;
    if events.iter().all(|event| !event.info.given) {
        return Ok(answer::empty());
    }
    let infos: Vec<ChannelInfo> = events.iter().map(|event| info(&request.app, event)).collect();
    Ok(answer::json(&json!({ "batch": infos })))
}

fn info(app: &App, event: &Publish<'_>) -> ChannelInfo {
    event.channels.first().map(|name| ChannelInfo::of(app, name, &event.info)).unwrap_or_default()
}
