//! `GET /apps/{id}/channels`: the occupied channels.

use std::collections::BTreeMap;

use gema_protocol::channel::ChannelKind;
use gema_protocol::publish::Info;
use serde_json::json;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::info::{self, ChannelInfo, Overview};

/// `{"channels":{name:{…}}}`, filtered by `filter_by_prefix`. Channels of single users are not listed.
pub(super) async fn get(request: &Signed<'_>) -> Result<Answer, Answer> {
    let app = &request.app;
    let prefix = request.query.get("filter_by_prefix").unwrap_or_default();
    let wanted = Info::parse(request.query.get("info"));
    info::check_list(app, prefix, &wanted)?;
    let overview = Overview::list(app, prefix, &wanted).await;
    let occupied = overview.occupied(app);
    let listed =
        occupied.iter().filter(|name| name.starts_with(prefix) && name.kind() != ChannelKind::ServerToUser);
    let infos = listed.map(|name| (&**name, ChannelInfo::of(app, name, &wanted, &overview)));
    Ok(answer::json(&json!({ "channels": infos.collect::<BTreeMap<_, _>>() })))
}
