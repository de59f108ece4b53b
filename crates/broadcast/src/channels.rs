//! The registry of one app's occupied channels. A channel is here while somebody subscribes to it, and only then.

use std::sync::Arc;

use dashmap::DashMap;
use gema_protocol::channel::ChannelName;

use crate::channel::{Channel, Joined, Joiner, Refused};
use crate::metrics::Traffic;
use crate::webhooks::Facts;

/// Occupied channels by name.
pub(crate) struct Channels {
    map: DashMap<ChannelName, Arc<Channel>>,
    facts: Option<Arc<Facts>>,
    traffic: Arc<Traffic>,
}

/// The presence channel has as many members as it may: this many.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) usize);

impl Channels {
    /// None yet. Each will report to `facts` and count what it delivers in `traffic`.
    pub(crate) fn new(facts: Option<Arc<Facts>>, traffic: Arc<Traffic>) -> Self {
        Self { map: DashMap::new(), facts, traffic }
    }

    /// The channel, if anybody subscribes to it.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Channel>> {
        self.map.get(name).map(|channel| channel.clone())
    }

    /// Joins a connection to a channel, which begins to exist with its first subscriber.
    pub(crate) fn join(
        &self,
        name: &ChannelName,
        joiner: &Joiner<'_>,
    ) -> Result<(Arc<Channel>, Joined), Full> {
        loop {
            let channel = self.get_or_new(name);
            match channel.join(joiner) {
                Ok(joined) => return Ok((channel, joined)),
                // Its last subscriber left between the look-up and the join. Take it out, in case that task has not
                // come so far, and start anew.
                Err(Refused::Closed) => self.remove(&channel),
                Err(Refused::Full(most)) => {
                    if channel.close_if_empty() {
                        self.remove(&channel);
                    }
                    return Err(Full(most));
                }
            }
        }
    }

    /// Takes a connection out of a channel, and the channel out of the registry when nobody is left.
    pub(crate) fn leave(&self, channel: &Arc<Channel>, joined: &Joined) {
        if channel.leave(joined) {
            self.remove(channel);
        }
    }

    /// Every occupied channel, in no order. Subscriptions go on meanwhile.
    pub(crate) fn all(&self) -> Vec<Arc<Channel>> {
        self.map.iter().map(|entry| entry.value().clone()).collect()
    }

    fn get_or_new(&self, name: &ChannelName) -> Arc<Channel> {
        if let Some(channel) = self.get(name) {
            return channel;
        }
        let new = || Arc::new(Channel::new(name.clone(), self.facts.clone(), self.traffic.clone()));
        self.map.entry(name.clone()).or_insert_with(new).clone()
    }

    fn remove(&self, channel: &Arc<Channel>) {
        self.map.remove_if(channel.name(), |_, found| Arc::ptr_eq(found, channel));
    }
}
