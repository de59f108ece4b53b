//! Which topics a node holds: those of channels that its own clients are in, and for a moment those they have left.
//!
//! A request goes out at once when none is under way; what is wanted meanwhile forms the next one. Letting go is lazy: a
//! page that reloads finds its topics still held. Pure: the owner sends what [`Interest::next_request`] says.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gema_protocol::channel::ChannelName;
use tokio::sync::oneshot;

/// How long a topic stays held that nobody needs any more.
pub const LINGER: Duration = Duration::from_secs(10);
/// Most topics of one request.
const MOST: usize = 1_000;

/// A request to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Hold these topics; then [`Interest::subscribed`] or [`Interest::failed`].
    Subscribe(Vec<ChannelName>),
    /// Let these go; no answer is needed.
    Unsubscribe(Vec<ChannelName>),
}

/// The topics of one app.
#[derive(Debug, Default)]
pub struct Interest {
    topics: HashMap<ChannelName, Topic>,
    /// Wanted and not yet asked for.
    wanted: HashSet<ChannelName>,
    /// Asked for and not yet answered.
    asking: Vec<ChannelName>,
    /// Needed by nobody, with the time since when.
    idle: HashMap<ChannelName, Duration>,
}

#[derive(Debug, Default)]
struct Topic {
    holders: usize,
    confirmed: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Interest {
    /// Somebody needs a topic. `None` when it is held already; otherwise the receiver fires when it is.
    pub fn hold(&mut self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        self.idle.remove(channel);
        let topic = self.topics.entry(channel.clone()).or_insert_with(|| {
            self.wanted.insert(channel.clone());
            Topic::default()
        });
        topic.holders += 1;
        if topic.confirmed {
            return None;
        }
        let (confirmed, wait) = oneshot::channel();
        topic.waiting.push(confirmed);
        Some(wait)
    }

    /// One who needed a topic does not any more.
    pub fn release(&mut self, channel: &ChannelName, now: Duration) {
        let Some(topic) = self.topics.get_mut(channel) else { return };
        topic.holders = topic.holders.saturating_sub(1);
        if topic.holders == 0 {
            self.idle.insert(channel.clone(), now);
        }
    }

    /// Does anybody need the topic, held or not?
    #[must_use]
    pub fn is_needed(&self, channel: &ChannelName) -> bool {
        self.topics.contains_key(channel)
    }

    /// What to send now.
    pub fn next_request(&mut self, now: Duration) -> Option<Request> {
        if !self.asking.is_empty() {
            return None;
        }
        if !self.wanted.is_empty() {
            self.asking = self.wanted.iter().take(MOST).cloned().collect();
            self.asking.iter().for_each(|channel| drop(self.wanted.take(channel)));
            return Some(Request::Subscribe(self.asking.clone()));
        }
        let over = self.idle.iter().filter(|(_, since)| now.saturating_sub(**since) >= LINGER);
        let over: Vec<_> = over.take(MOST).map(|(channel, _)| channel.clone()).collect();
        for channel in &over {
            self.idle.remove(channel);
            self.topics.remove(channel);
        }
        (!over.is_empty()).then_some(Request::Unsubscribe(over))
    }

    /// The topics asked for are held now: these.
    pub fn subscribed(&mut self) -> Vec<ChannelName> {
        let channels = std::mem::take(&mut self.asking);
        for channel in &channels {
            if let Some(topic) = self.topics.get_mut(channel) {
                topic.confirmed = true;
                for waiting in topic.waiting.drain(..) {
                    // Whoever does not wait any more has gone on without it.
                    let _ = waiting.send(());
                }
            }
        }
        channels
    }

    /// The request got no answer: its topics are wanted still.
    pub fn failed(&mut self) {
        self.wanted.extend(std::mem::take(&mut self.asking));
    }

    /// The link is gone, and with it every topic. Those still needed are wanted again.
    pub fn unlinked(&mut self) {
        self.asking.clear();
        self.topics.retain(|_, topic| topic.holders > 0);
        self.idle.clear();
        self.topics.values_mut().for_each(|topic| topic.confirmed = false);
        self.wanted = self.topics.keys().cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    fn is_held(interest: &Interest, name: &str) -> bool {
        interest.topics.get(name).is_some_and(|topic| topic.confirmed)
    }

    fn subscribe(names: &[&str]) -> Option<Request> {
        Some(Request::Subscribe(names.iter().map(|name| channel(name)).collect()))
    }

    #[test]
    fn what_is_wanted_while_a_request_is_under_way_forms_the_next() {
        let mut interest = Interest::default();
        let mut first = interest.hold(&channel("a")).unwrap();
        assert_eq!(interest.next_request(NOW), subscribe(&["a"]));
        let mut second = interest.hold(&channel("b")).unwrap();
        assert_eq!(interest.next_request(NOW), None);
        assert_eq!(interest.subscribed(), [channel("a")]);
        assert!(first.try_recv().is_ok() && second.try_recv().is_err());
        assert_eq!(interest.next_request(NOW), subscribe(&["b"]));
        interest.subscribed();
        assert!(second.try_recv().is_ok());
        assert!(interest.hold(&channel("b")).is_none(), "nobody waits for what is held");
    }

    #[test]
    fn letting_go_is_lazy_and_can_be_taken_back() {
        let mut interest = Interest::default();
        for name in ["a", "b"] {
            interest.hold(&channel(name));
            interest.next_request(NOW);
            interest.subscribed();
            interest.release(&channel(name), NOW);
        }
        assert_eq!(interest.next_request(NOW + LINGER - Duration::from_millis(1)), None);
        assert!(interest.hold(&channel("a")).is_none());
        assert_eq!(interest.next_request(NOW + LINGER), Some(Request::Unsubscribe(vec![channel("b")])));
        assert!(is_held(&interest, "a") && !is_held(&interest, "b"));
        assert!(interest.hold(&channel("b")).is_some());
    }

    #[test]
    fn a_new_link_asks_for_everything_that_is_needed() {
        let mut interest = Interest::default();
        interest.hold(&channel("a"));
        interest.next_request(NOW);
        interest.subscribed();
        interest.hold(&channel("left"));
        interest.release(&channel("left"), NOW);
        let mut waiting = interest.hold(&channel("b")).unwrap();
        interest.next_request(NOW);
        interest.unlinked();
        assert!(!is_held(&interest, "a"));
        let Some(Request::Subscribe(mut asked)) = interest.next_request(NOW) else {
            panic!("nothing is asked for")
        };
        asked.sort();
        assert_eq!(asked, [channel("a"), channel("b")]);
        interest.subscribed();
        assert!(waiting.try_recv().is_ok());
    }
}
