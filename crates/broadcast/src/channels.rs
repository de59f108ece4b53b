//! The registry of one app's occupied channels. A channel is here while somebody subscribes to it, and only then.

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use gema_cluster::node::Others;
use gema_protocol::channel::ChannelName;
use gema_protocol::presence::UserId;

use crate::channel::{Channel, Joined, Joiner, Refused};
use crate::metrics::Traffic;
use crate::webhooks::Facts;

/// Occupied channels by name.
pub(crate) struct Channels {
    map: DashMap<ChannelName, Arc<Channel>>,
    facts: Option<Arc<Facts>>,
    traffic: Arc<Traffic>,
    /// Subscribers are told how many they are.
    counts: bool,
    /// What other nodes say; empty on a node that is alone.
    others: OnceLock<Arc<Others>>,
}

/// The presence channel has as many members as it may: this many.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) usize);

impl Channels {
    /// None yet. Each will report to `facts` and count what it delivers in `traffic`. `counts`: subscribers are told
    /// how many they are.
    pub(crate) fn new(facts: Option<Arc<Facts>>, traffic: Arc<Traffic>, counts: bool) -> Self {
        Self { map: DashMap::new(), facts, traffic, counts, others: OnceLock::new() }
    }

    /// From now on a channel begins with what other nodes say of it. Happens once, before the first connection.
    pub(crate) fn tie(&self, others: Arc<Others>) {
        self.others.get_or_init(|| others);
    }

    /// The channel, if anybody subscribes to it.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Channel>> {
        self.map.get(name).map(|channel| channel.clone())
    }

    /// Tells the subscribers how many they are, if the app wants that and the channel has a count.
    pub(crate) fn announce_count(&self, channel: &Arc<Channel>) {
        if self.counts && channel.name().kind().has_subscription_count() {
            channel.announce_count();
        }
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

    /// Refuses, as far as is known now, a user for whom [`Channels::join`] would have no room.
    pub(crate) fn check_room(&self, name: &str, user: &UserId, most: usize) -> Result<(), Full> {
        let has_room = self.get(name).is_none_or(|channel| channel.has_room(user, most));
        if has_room { Ok(()) } else { Err(Full(most)) }
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
        let new = Channel::new(name.clone(), self.facts.clone(), self.traffic.clone());
        match self.others.get() {
            // What is learned afterwards finds the channel here.
            Some(others) => others.with(name, |others| self.insert(new.knowing(others))),
            None => self.insert(new),
        }
    }

    fn insert(&self, new: Channel) -> Arc<Channel> {
        self.map.entry(new.name().clone()).or_insert_with(|| Arc::new(new)).clone()
    }

    fn remove(&self, channel: &Arc<Channel>) {
        self.map.remove_if(channel.name(), |_, found| Arc::ptr_eq(found, channel));
    }
}
