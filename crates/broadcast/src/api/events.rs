//! `POST /apps/{id}/events`: one event to 1–100 channels. And its deprecated form, to the channel in the path.

use std::collections::BTreeMap;

use gema_protocol::publish::{event_for_channel, event_in_query, parse_event};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo, Overview};
use super::publish::publish;
use crate::server::Shared;

/// 200 `{}`, or with `info` the asked attributes of each channel.
pub(super) async fn post(shared: &Shared, request: &Signed<'_>) -> Result<Answer, Answer> {
    let limits = &request.app.config.limits;
    let in_query = request.body.is_empty() && request.query.get("name").is_some();
    let event =
        if in_query { event_in_query(&request.query, limits) } else { parse_event(&request.body, limits) };
    let event = event.map_err(|e| answer::publish_error(&e))?;
    for name in &event.channels {
        info::check(&request.app, name, &event.info)?;
    }
    publish(shared, &request.app, std::slice::from_ref(&event), request.confirmation()).await?;
    if !event.info.given {
        return Ok(answer::empty());
    }
    let (app, wanted) = (&request.app, &event.info);
    let overview = Overview::of(app, event.channels.iter().map(|name| (name, wanted))).await;
    let infos = event.channels.iter().map(|name| (&**name, ChannelInfo::of(app, name, wanted, &overview)));
    Ok(answer::json(&json!({ "channels": infos.collect::<BTreeMap<_, _>>() })))
}

/// `POST /apps/{id}/channels/{name}/events?name=&socket_id=`, whose body is the data: 202, as old SDKs expect.
pub(super) async fn post_to_channel(
    shared: &Shared,
    request: &Signed<'_>,
    raw_name: &str,
) -> Result<Answer, Answer> {
    let name = percent_decode_str(raw_name).decode_utf8_lossy();
    let limits = &request.app.config.limits;
    let event = event_for_channel(&name, &request.query, &request.body, limits);
    let event = event.map_err(|e| answer::publish_error(&e))?;
    publish(shared, &request.app, std::slice::from_ref(&event), request.confirmation()).await?;
    Ok(answer::accepted())
}
