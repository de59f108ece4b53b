//! Webhooks: what an app's back end is told over HTTP about its channels, members and client events.
//!
//! Each step is a value of its own and knows nothing of the others: [`decide`] turns what happens into events (grace
//! periods, duplicates), [`backlog`] is the queue of one endpoint and makes batches of it, [`retry`] says when a request
//! is tried again. The bytes are in [`event`]. Sockets and clocks are `gema-broadcast`'s business.

pub mod backlog;
pub mod decide;
mod delayed;
pub mod event;
pub mod retry;

use crate::channel::ChannelName;
use event::Event;

/// The `Content-Type` of a webhook, word for word: the Node SDK takes no `; charset` after it.
pub const CONTENT_TYPE: &str = "application/json";

/// The kinds of events, by their names on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A channel has its first subscriber.
    ChannelOccupied,
    /// A channel has no subscriber any more.
    ChannelVacated,
    /// A user has a first connection in a presence channel.
    MemberAdded,
    /// A user has no connection in a presence channel any more.
    MemberRemoved,
    /// A client sent an event to the others.
    ClientEvent,
    /// A subscriber of a cache channel found it empty.
    CacheMiss,
    /// A channel has another number of subscribers.
    SubscriptionCount,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::ClientEvent,
        Self::CacheMiss,
        Self::SubscriptionCount,
    ];

    /// Its `name` in a webhook and in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::ClientEvent => "client_event",
            Self::CacheMiss => "cache_miss",
            Self::SubscriptionCount => "subscription_count",
        }
    }

    /// How far events of this kind may fill a queue of `bound` bytes. A client that floods a channel with its events must
    /// not push out the news of who is there.
    #[must_use]
    pub fn share(self, bound: usize) -> usize {
        if self == Self::ClientEvent { bound / 4 * 3 } else { bound }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(0x7f);

    /// Is this kind in the set?
    #[must_use]
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// This set, and for every coming the going and the other way round: whoever wants to hear of one must know of the
    /// other, for a return within the grace period takes both back.
    #[must_use]
    pub fn in_pairs(self) -> Self {
        let pairs = [(Kind::ChannelOccupied, Kind::ChannelVacated), (Kind::MemberAdded, Kind::MemberRemoved)];
        let both =
            pairs.into_iter().filter(|(coming, going)| self.contains(*coming) || self.contains(*going));
        let added: Self = both.flat_map(|(coming, going)| [coming, going]).collect();
        Self(self.0 | added.0)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u8))
    }
}

/// Which events an endpoint wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of these kinds.
    pub kinds: Kinds,
    /// Of channels whose name starts like this; empty: of all.
    pub channel_prefix: String,
}

impl Filter {
    /// Is this event for the endpoint?
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        self.kinds.contains(event.kind()) && event.channel().starts_with(&self.channel_prefix)
    }
}

/// Are there webhooks of this channel? A user's own channel is never named to anybody.
#[must_use]
pub fn concerns(channel: &ChannelName) -> bool {
    channel.user_id().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            assert!(Kinds::ALL.contains(kind) && !Kinds::default().contains(kind));
        }
        assert_eq!(Kinds::ALL, Kind::ALL.into_iter().collect());
        assert_eq!(Kind::parse("channel_ocupied"), None);
    }

    #[test]
    fn a_coming_and_its_going_are_known_together() {
        let set = Kinds::from_iter([Kind::ChannelVacated, Kind::CacheMiss]).in_pairs();
        let expected = [Kind::ChannelOccupied, Kind::ChannelVacated, Kind::CacheMiss];
        assert_eq!(set, expected.into_iter().collect());
        assert_eq!(Kinds::from_iter([Kind::ClientEvent]).in_pairs(), Kinds::from_iter([Kind::ClientEvent]));
    }

    #[test]
    fn an_endpoint_chooses_by_kind_and_channel() {
        let channel = ChannelName::parse("presence-room", 200).unwrap();
        let filter = |kinds, prefix: &str| Filter { kinds, channel_prefix: prefix.to_owned() };
        let event = Event::of(Kind::ChannelOccupied, &channel);
        assert!(filter(Kinds::ALL, "").wants(&event) && filter(Kinds::ALL, "presence-").wants(&event));
        assert!(!filter(Kinds::ALL, "private-").wants(&event));
        assert!(!filter(Kinds::from_iter([Kind::ChannelVacated]), "").wants(&event));
    }

    #[test]
    fn the_channel_of_a_user_is_nobodys_business() {
        assert!(concerns(&ChannelName::parse("private-a", 200).unwrap()));
        assert!(!concerns(&ChannelName::parse("#server-to-user-1", 200).unwrap()));
    }
}
