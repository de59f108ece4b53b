//! The members of one presence channel: distinct users, each with as many connections as it likes, here and on other
//! servers. Of those it is known only on how many servers a user is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::presence::{Member, UserId, subscription_succeeded};

/// Who is in a presence channel.
#[derive(Debug, Default)]
pub struct Roster {
    users: BTreeMap<Arc<str>, Present>,
}

#[derive(Debug)]
struct Present {
    member: Member,
    connections: usize,
    /// Other servers with connections of this user.
    servers: usize,
}

impl Roster {
    /// Distinct users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Is nobody there?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Has this user a connection in the channel?
    #[must_use]
    pub fn contains(&self, user_id: &UserId) -> bool {
        self.users.contains_key(user_id.as_str())
    }

    /// Counts a connection of a user. True when it is the first: the others are told. A later connection does not
    /// change what is known of the user.
    pub fn join(&mut self, member: &Member) -> bool {
        if let Some(present) = self.users.get_mut(member.user_id.as_str()) {
            present.connections += 1;
            return false;
        }
        let present = Present { member: member.clone(), connections: 1, servers: 0 };
        self.users.insert(member.user_id.as_str().into(), present);
        true
    }

    /// Takes a connection of a user back. The user when it was the last: the others are told.
    pub fn leave(&mut self, user_id: &UserId) -> Option<UserId> {
        let present = self.users.get_mut(user_id.as_str())?;
        present.connections = present.connections.checked_sub(1)?;
        self.remove_if_gone(user_id.as_str())
    }

    /// Counts another server that has the user. The member when nobody had it: the others are told.
    pub fn enter_elsewhere(&mut self, user_id: &str, member: impl FnOnce() -> Member) -> Option<&Member> {
        if let Some(present) = self.users.get_mut(user_id) {
            present.servers += 1;
            return None;
        }
        let present = Present { member: member(), connections: 0, servers: 1 };
        Some(&self.users.entry(user_id.into()).or_insert(present).member)
    }

    /// Takes another server of a user back. The user when nobody has it any more: the others are told.
    pub fn exit_elsewhere(&mut self, user_id: &str) -> Option<UserId> {
        let present = self.users.get_mut(user_id)?;
        present.servers = present.servers.checked_sub(1)?;
        self.remove_if_gone(user_id)
    }

    /// How many connections of the user are here.
    #[must_use]
    pub fn connections(&self, user_id: &UserId) -> usize {
        self.users.get(user_id.as_str()).map_or(0, |present| present.connections)
    }

    fn remove_if_gone(&mut self, user_id: &str) -> Option<UserId> {
        let present = self.users.get(user_id)?;
        if present.connections > 0 || present.servers > 0 {
            return None;
        }
        self.users.remove(user_id).map(|present| present.member.user_id)
    }

    /// The ids of all users, sorted as text.
    pub fn user_ids(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(AsRef::as_ref)
    }

    /// The frame that confirms a subscription with the list as it is now.
    #[must_use]
    pub fn welcome(&self, channel: &str) -> Bytes {
        let members: Vec<&Member> = self.users.values().map(|present| &present.member).collect();
        subscription_succeeded(channel, &members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limits, Profile};

    fn member(id: u8) -> Member {
        Member::parse(&format!(r#"{{"user_id":"{id}"}}"#), &Limits::of(Profile::Reverb)).unwrap()
    }

    #[test]
    fn r_reverb_213_a_second_tab_is_no_second_member() {
        let mut roster = Roster::default();
        assert!(roster.join(&member(1)));
        assert!(!roster.join(&member(1)));
        assert_eq!(roster.leave(&member(1).user_id), None);
        assert_eq!(roster.leave(&member(1).user_id), Some(member(1).user_id));
        assert!(roster.is_empty());
        assert_eq!(roster.leave(&member(1).user_id), None, "a leave without a join changes nothing");
    }

    #[test]
    fn a_user_is_gone_when_no_server_has_it() {
        let (mut roster, ann) = (Roster::default(), member(1));
        assert!(roster.enter_elsewhere("1", || member(1)).is_some());
        assert!(roster.enter_elsewhere("1", || member(1)).is_none());
        assert!(!roster.join(&ann), "known from elsewhere");
        assert_eq!((roster.len(), roster.connections(&ann.user_id)), (1, 1));
        assert_eq!((roster.exit_elsewhere("1"), roster.leave(&ann.user_id)), (None, None));
        assert_eq!(roster.leave(&ann.user_id), None, "nobody is here");
        assert_eq!(roster.exit_elsewhere("1"), Some(ann.user_id));
        assert_eq!(roster.exit_elsewhere("1"), None);
    }

    #[test]
    fn the_first_connection_decides_what_is_known_of_a_user() {
        let limits = Limits::of(Profile::Reverb);
        let mut roster = Roster::default();
        roster.join(&Member::parse(r#"{"user_id":1,"user_info":"first"}"#, &limits).unwrap());
        roster.join(&Member::parse(r#"{"user_id":"1","user_info":"second"}"#, &limits).unwrap());
        let welcome = String::from_utf8_lossy(&roster.welcome("presence-a")).into_owned();
        assert!(welcome.contains(r#"\"ids\":[1],\"hash\":{\"1\":\"first\"}"#), "{welcome}");
    }
}
