//! `GET /apps/{id}/channels`: the occupied channels.

use std::collections::BTreeMap;

use gema_protocol::channel::ChannelKind;
use gema_protocol::publish::Info;
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::ChannelInfo;

/// `{"channels":{name:{…}}}`, filtered by `filter_by_prefix`. Channels of single users are not listed.
pub(super) fn get(request: &Signed) -> Answer {
    let app = &request.app;
    let query = request.query();
    let prefix = query.get("filter_by_prefix").unwrap_or_default();
    let wanted = Info::parse(query.get("info"));
    let occupied = app.channels.all();
    let names = occupied.iter().map(|channel| channel.name());
    let listed = names.filter(|name| name.starts_with(prefix) && name.kind() != ChannelKind::ServerToUser);
    let infos = listed.map(|name| (&**name, ChannelInfo::of(app, name, &wanted)));
    answer::json(&json!({ "channels": infos.collect::<BTreeMap<_, _>>() }))
}
