//! Who is in a channel, under one lock: the subscribers and, in a presence channel, the users they are.

use bytes::{Bytes, BytesMut};
use gema_cluster::replica::{Change, Replica};
use gema_protocol::channel::ChannelName;
use gema_protocol::frame;
use gema_protocol::presence::{Member, UserId, member_added, member_removed};
use gema_protocol::roster::Roster;

use super::Joiner;
use super::members::Members;

/// Why a connection cannot join.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The channel closed between being found and being joined: the joiner starts a new one.
    Closed,
    /// The presence channel has as many members as it may: this many.
    Full(usize),
}

/// The subscribers and users of one channel.
#[derive(Default)]
pub(super) struct Door {
    pub(super) members: Members,
    pub(super) roster: Roster,
    /// Subscriptions on other nodes.
    pub(super) elsewhere: usize,
    /// An announcement of the count is on its way.
    pub(super) count_due: bool,
    closed: bool,
}

impl Door {
    /// Whether this connection may come in.
    pub(super) fn admit(&self, joiner: &Joiner<'_>) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        match (joiner.member, joiner.most_members) {
            (Some(member), Some(most)) if !self.has_room(&member.user_id, most) => Err(Refused::Full(most)),
            _ => Ok(()),
        }
    }

    /// Whether a presence channel with at most `most` members takes this user.
    pub(super) fn has_room(&self, user: &UserId, most: usize) -> bool {
        self.roster.len() < most || self.roster.contains(user)
    }

    /// Subscriptions of all nodes.
    pub(super) fn count(&self) -> usize {
        self.members.len().saturating_add(self.elsewhere)
    }

    /// Begins with what other nodes say of the channel.
    pub(super) fn know(&mut self, others: &Replica) {
        self.elsewhere = usize::try_from(others.subscriptions()).unwrap_or(usize::MAX);
        for (user, member) in others.members() {
            self.roster.enter_elsewhere(user, || passed_on(user, member));
        }
    }

    /// Counts a node more or less that has a user; what to tell subscribers when it is the first or was the last.
    pub(super) fn follow(&mut self, channel: &ChannelName, change: &Change) -> Option<Bytes> {
        match change {
            Change::Enter(user, member) => {
                let added = self.roster.enter_elsewhere(user, || passed_on(user, member))?;
                Some(member_added(channel, added))
            }
            Change::Exit(user) => self.roster.exit_elsewhere(user).map(|user| member_removed(channel, &user)),
        }
    }

    /// Counts a member's connection; what to tell the others when it is the first.
    pub(super) fn enter(&mut self, channel: &ChannelName, member: &Member) -> Option<Bytes> {
        self.roster.join(member).then(|| member_added(channel, member))
    }

    /// Takes a member's connection back; what to tell the others when it was the last.
    pub(super) fn exit(&mut self, channel: &ChannelName, user: &UserId) -> Option<Bytes> {
        self.roster.leave(user).map(|user| member_removed(channel, &user))
    }

    /// Confirms the subscription: with the list of members in a presence channel, and with what follows it.
    pub(super) fn greet(&self, channel: &ChannelName, joiner: &Joiner<'_>) {
        let welcome = match joiner.member {
            Some(_) => self.roster.welcome(channel),
            None => frame::subscription_succeeded(channel),
        };
        let Some(then) = joiner.then else { return joiner.outbound.send(&welcome) };
        let mut both = BytesMut::from(&welcome[..]);
        both.extend_from_slice(then);
        joiner.outbound.send(&both.freeze());
    }

    /// Lets nobody in any more once the last has left; true when that is so.
    pub(super) fn close_if_empty(&mut self) -> bool {
        self.closed = self.members.len() == 0;
        self.closed
    }
}

fn passed_on(user: &str, member: &Bytes) -> Member {
    Member::passed_on(user, str::from_utf8(member).unwrap_or_default())
}
