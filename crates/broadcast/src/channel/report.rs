//! What webhooks hear of a channel. Each report is made under the lock that decides the order of what it is about.

use std::sync::Arc;

use bytes::Bytes;
use gema_protocol::presence::UserId;
use gema_protocol::webhook::Kind;
use gema_protocol::webhook::decide::Fact;
use gema_protocol::webhook::event::{Event, Sent};

use super::door::Door;
use super::{Channel, Delivery, To};

impl Channel {
    /// Reports a subscription that was just added, and its user if it is the first of that user here.
    pub(super) fn report_join(&self, door: &Door, user: Option<&UserId>) {
        let Some(facts) = &self.facts else { return };
        if door.members.len() == 1 {
            facts.push(Fact::Occupied(self.name.clone()));
        }
        if let Some(user) = user.filter(|user| door.roster.connections(user) == 1) {
            facts.push(Fact::Joined(self.name.clone(), user.clone()));
        }
        self.report_count(door);
    }

    /// Reports a subscription that was just taken out, and its user if it was the last of that user here.
    pub(super) fn report_leave(&self, door: &Door, user: Option<&UserId>) {
        let Some(facts) = &self.facts else { return };
        if let Some(user) = user.filter(|user| door.roster.connections(user) == 0) {
            facts.push(Fact::Left(self.name.clone(), user.clone()));
        }
        if door.members.len() == 0 {
            facts.push(Fact::Vacated(self.name.clone()));
        }
        self.report_count(door);
    }

    fn report_count(&self, door: &Door) {
        if let Some(facts) = self.facts.as_ref().filter(|_| self.name.kind().has_subscription_count()) {
            facts.push(Fact::Counted(self.name.clone(), door.members.len()));
        }
    }

    /// Sends a client event to all but its sender, and reports it.
    pub(crate) fn publish_client_event(self: &Arc<Self>, frame: Bytes, sent: &Sent<'_>) -> Delivery {
        let to = To::all_but(Some(sent.socket_id));
        let Some(facts) = self.facts.as_ref().filter(|facts| facts.need(Kind::ClientEvent)) else {
            return self.publish(frame, to);
        };
        let event = Event::client_event(&self.name, sent);
        let mut pending = self.pending.lock();
        pending.push(frame, to);
        let delivery = Delivery(Some(pending.round.wait()));
        facts.push(Fact::Sent(event));
        drop(pending);
        self.flush();
        delivery
    }
}
