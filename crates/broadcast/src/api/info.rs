//! The `info` attributes of a channel, as publishing and the channel queries return them.
//!
//! They are those of the whole cluster ([`Overview`]). What this node sees for itself counts as well: it may be newer, and
//! it is all there is when the cluster does not answer.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::{join, join_all};
use gema_cluster::engine::{Counts, Kept};
use gema_cluster::node::Node;
use gema_protocol::channel::{ChannelKind, ChannelName};
use gema_protocol::frame;
use gema_protocol::limits::MisplacedInfo;
use gema_protocol::publish::Info;
use serde::Serialize;

use super::answer::{self, Answer};
use crate::app::App;

/// The asked attributes; what was not asked for, or does not exist for this kind of channel, is left out.
#[derive(Default, Serialize)]
pub(super) struct ChannelInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<u64>,
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

/// What the cluster says of the channels of one request. Empty on a node that is alone, or gets no answer in time.
#[derive(Default)]
pub(super) struct Overview {
    counts: HashMap<ChannelName, Counts>,
    last_events: HashMap<ChannelName, Option<Kept>>,
}

impl Overview {
    /// Of these channels, what is wanted of each.
    pub(super) async fn of<'a>(
        app: &App,
        asked: impl IntoIterator<Item = (&'a ChannelName, &'a Info)>,
    ) -> Self {
        let Some(node) = app.cluster.node() else { return Self::default() };
        let (mut names, mut caches) = (Vec::new(), Vec::new());
        for (name, wanted) in asked {
            names.push(name.clone());
            if wanted.cache && name.kind().is_cache() {
                caches.push(name.clone());
            }
        }
        let (counts, last_events) = join(node.counts(&names), last_events(node, caches)).await;
        Self { counts: names.into_iter().zip(counts.unwrap_or_default()).collect(), last_events }
    }

    /// Of all occupied channels whose names begin with `prefix`.
    pub(super) async fn list(app: &App, prefix: &str, wanted: &Info) -> Self {
        let Some(node) = app.cluster.node() else { return Self::default() };
        let counts = node.channels(prefix, wanted.user_count).await.unwrap_or_default();
        Self { counts: counts.into_iter().collect(), last_events: HashMap::new() }
    }

    /// The occupied channels that this tells of, and those of this node.
    pub(super) fn occupied(&self, app: &App) -> BTreeSet<ChannelName> {
        let here = app.channels.all();
        let here = here.iter().map(|channel| channel.name().clone());
        self.counts.keys().cloned().chain(here).collect()
    }

    /// Subscriptions and distinct users of a channel.
    pub(super) fn counts(&self, app: &App, name: &ChannelName) -> Counts {
        let there = self.counts.get(name).copied().unwrap_or_default();
        let Some(here) = app.channels.get(name) else { return there };
        Counts {
            subscriptions: there.subscriptions.max(here.subscription_count() as u64),
            users: there.users.max(here.user_count() as u64),
        }
    }

    /// The last event that a cache channel keeps.
    fn cached(&self, app: &App, name: &ChannelName) -> Option<CachedInfo> {
        let (data, left) = match self.last_events.get(name) {
            Some(kept) => {
                let (text, left) = kept.as_ref()?;
                (frame::data_of(&frame::text(text.as_bytes())), *left)
            }
            None => app.cache.peek(name)?,
        };
        Some(CachedInfo { data, ttl: left.as_secs() })
    }
}

/// Those that the cluster tells.
async fn last_events(node: &Node, channels: Vec<ChannelName>) -> HashMap<ChannelName, Option<Kept>> {
    let kept = join_all(channels.iter().map(|name| node.last_event(name))).await;
    channels.into_iter().zip(kept).filter_map(|(name, kept)| Some((name, kept?))).collect()
}

impl ChannelInfo {
    /// Attributes of a channel, occupied or not.
    pub(super) fn of(app: &App, name: &ChannelName, wanted: &Info, overview: &Overview) -> Self {
        let (kind, counts) = (name.kind(), overview.counts(app, name));
        Self {
            user_count: (wanted.user_count && kind.is_presence()).then_some(counts.users),
            subscription_count: (wanted.subscription_count && kind.has_subscription_count())
                .then_some(counts.subscriptions),
            cache: (wanted.cache && kind.is_cache()).then(|| overview.cached(app, name)),
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
