//! `POST /apps/{id}/batch_events`: several events, each to one channel. All are published or none.

use gema_protocol::channel::ChannelName;
use gema_protocol::publish::{Info, Publish, parse_batch};
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo, Overview};
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
    let overview = Overview::of(&request.app, asked(&events)).await;
    let infos: Vec<ChannelInfo> = events.iter().map(|event| info(&request.app, event, &overview)).collect();
    Ok(answer::json(&json!({ "batch": infos })))
}

/// The channels that something is to be told of.
fn asked<'a>(events: &'a [Publish<'_>]) -> impl Iterator<Item = (&'a ChannelName, &'a Info)> {
    let asking = events.iter().filter(|event| event.info.given);
    asking.flat_map(|event| event.channels.iter().map(|name| (name, &event.info)))
}

fn info(app: &App, event: &Publish<'_>, overview: &Overview) -> ChannelInfo {
    let first = event.channels.first();
    first.map(|name| ChannelInfo::of(app, name, &event.info, overview)).unwrap_or_default()
}
