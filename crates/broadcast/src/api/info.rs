//! The `info` attributes of a channel, as publishing and the channel queries return them.

use gema_protocol::channel::{ChannelKind, ChannelName};
use gema_protocol::limits::MisplacedInfo;
use gema_protocol::publish::Info;
use serde::Serialize;

use super::answer::{self, Answer};
use crate::app::App;

/// The asked attributes; what was not asked for, or does not exist for this kind of channel, is left out.
#[derive(Default, Serialize)]
pub(super) struct ChannelInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<usize>,
    /// `null` when nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Option<CachedInfo>>,
}

#[derive(Serialize)]
struct CachedInfo {
    data: String,
    /// Seconds it is still kept.
    ttl: u64,
}

impl ChannelInfo {
    /// Attributes of a channel, occupied or not.
    pub(super) fn of(app: &App, name: &ChannelName, wanted: &Info) -> Self {
        let kind = name.kind();
        let channel = app.channels.get(name);
        let users = || channel.as_ref().map_or(0, |channel| channel.user_count());
        let subscriptions = || channel.as_ref().map_or(0, |channel| channel.subscription_count());
        let cached = || app.cache.peek(name).map(|(data, left)| CachedInfo { data, ttl: left.as_secs() });
        Self {
            user_count: (wanted.user_count && kind.is_presence()).then(users),
            subscription_count: (wanted.subscription_count && kind.has_subscription_count())
                .then(subscriptions),
            cache: (wanted.cache && kind.is_cache()).then(cached),
        }
    }
}

/// 400 for an attribute that this kind of channel does not have, where the profile wants that.
pub(super) fn check(app: &App, name: &ChannelName, wanted: &Info) -> Result<(), Answer> {
    let kind = name.kind();
    // Pusher's own example asks a presence channel for subscription_count, too, so that is only left out.
    let misplaced = [
        ("user_count", wanted.user_count && !kind.is_presence()),
        ("cache", wanted.cache && !kind.is_cache()),
    ];
    match misplaced.iter().find(|(_, misplaced)| *misplaced) {
        Some((attribute, _)) if app.config.limits.misplaced_info == MisplacedInfo::Refuse => {
            Err(answer::bad_request(format!("The channel {name} has no attribute {attribute}.")))
        }
        _ => Ok(()),
    }
}

/// 400 for a list that asks for users but not for presence channels alone, where the profile wants that.
pub(super) fn check_list(app: &App, filter: &str, wanted: &Info) -> Result<(), Answer> {
    let misplaced = wanted.user_count && !ChannelKind::of(filter).is_presence();
    if misplaced && app.config.limits.misplaced_info == MisplacedInfo::Refuse {
        return Err(answer::bad_request(
            "user_count can be asked for with a filter_by_prefix that begins with presence- only.",
        ));
    }
    Ok(())
}
