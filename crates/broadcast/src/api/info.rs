//! The `info` attributes of a channel, as publishing and the channel queries return them.

use gema_protocol::channel::ChannelName;
use gema_protocol::publish::Info;
use serde::Serialize;

use crate::app::App;

/// The asked attributes; what was not asked for is left out.
#[derive(Default, Serialize)]
pub(super) struct ChannelInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<usize>,
}

impl ChannelInfo {
    /// Attributes of a channel, occupied or not.
    pub(super) fn of(app: &App, name: &ChannelName, wanted: &Info) -> Self {
        let count = || app.channels.get(name).map_or(0, |channel| channel.subscription_count());
        let counted = wanted.subscription_count && !name.kind().is_presence();
        Self { subscription_count: counted.then(count) }
    }
}
