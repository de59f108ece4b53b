//! `GET /apps/{id}/channels/{name}`: is it occupied, and by how many.

use gema_protocol::channel::ChannelName;
use gema_protocol::publish::Info;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo, Overview};

#[derive(Serialize)]
struct Occupancy {
    occupied: bool,
    #[serde(flatten)]
    info: ChannelInfo,
}

/// 200 also for a channel without subscribers; 400 for a name no channel can have.
pub(super) async fn get(request: &Signed<'_>, raw_name: &str) -> Result<Answer, Answer> {
    let app = &request.app;
    let name = parse_name(request, raw_name)?;
    let wanted = Info::parse(request.query.get("info"));
    info::check(app, &name, &wanted)?;
    let overview = Overview::of(app, [(&name, &wanted)]).await;
    let occupied = overview.counts(app, &name).subscriptions > 0;
    Ok(answer::json(&Occupancy { occupied, info: ChannelInfo::of(app, &name, &wanted, &overview) }))
}

/// The channel name of a path; 400 for one that no channel can have.
pub(super) fn parse_name(request: &Signed<'_>, raw_name: &str) -> Result<ChannelName, Answer> {
    let name = percent_decode_str(raw_name).decode_utf8_lossy();
    ChannelName::parse(&name, request.app.config.limits.channel_name)
        .map_err(|error| answer::bad_request(error.to_string()))
}
