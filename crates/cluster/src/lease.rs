//! A node's word that it lives, and its share of the connections an app may have. Pure: the time is an argument.
//!
//! The place where nodes meet keeps the end of each node's lease by its own clock; a lease that has ended is never revived.
//! Whoever finds an ended one declares that node dead and takes its facts away, but only once its own lease has stood long
//! enough: after a cut, or when the place has lost its memory, everybody first gets time to come back. See [`crate::node`].

use std::time::Duration;

use crate::entry::Origin;

/// How long a lease stands without a renewal.
pub const LEASE: Duration = Duration::from_secs(10);
/// Of how many places in a hundred nodes may dispose without having counted them: the error of the limit.
const SLACK_PERCENT: u64 = 5;

/// What a node says when it renews its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// Who.
    pub node: Origin,
    /// The lease begins; otherwise it must stand.
    pub first: bool,
    /// Clients that are connected to this node.
    pub connections: u64,
    /// Clients that wait for a place.
    pub wanted: u64,
    /// Most connections of the app on all nodes together; `None`: no limit, nothing is counted for it.
    pub limit: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// The lease stands.
    Stands(Standing),
    /// The lease has ended, or nobody knows of it: the node needs another id.
    Ended,
}

/// How things stand among the nodes of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Clients that are connected to other nodes, as those said last.
    pub elsewhere: u64,
    /// Nodes whose lease has ended; not all of them if they are many.
    pub ended: Vec<Origin>,
    /// Places for more connections.
    pub places: Places,
}

/// Places that an app's limit leaves to a node. All 0 without a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// Kept for the clients that waited; nobody else is given them.
    pub given: u64,
    /// Free for all nodes.
    pub left: u64,
    /// Nodes whose lease stands, this one included; at least 1 with a limit.
    pub nodes: u64,
}

impl Places {
    /// Places, out of `free` ones, for a node that waits for nobody yet and one that has `wanted` clients waiting.
    #[must_use]
    pub fn of(free: u64, wanted: u64, nodes: u64) -> Self {
        let given = wanted.min(free);
        Self { given, left: free - given, nodes }
    }

    /// Connections that a node with `connections` may have until it asks again. What nodes take unasked is so little that
    /// all of them together stay within 5 % of the limit.
    #[must_use]
    pub fn share(&self, connections: u64, limit: u64) -> u64 {
        let unasked = self.left.min(limit * SLACK_PERCENT / 100) / self.nodes.max(1);
        connections + self.given + unasked
    }

    /// As [`Places::share`], for a node that cannot ask: an equal part of all that is free.
    #[must_use]
    pub fn share_alone(&self, connections: u64) -> u64 {
        connections + self.given + self.left / self.nodes.max(1)
    }
}

/// What a node knows of its own lease. Times are counted from the node's birth.
#[derive(Debug)]
pub struct Lease {
    length: Duration,
    begun: bool,
    /// Counts links: an answer that was asked for over an older one says nothing.
    link: u64,
    /// The lease stands until then, if it was renewed over the present link.
    ends: Option<Duration>,
    /// Since when it has stood without a break of lease or link.
    unbroken: Option<Duration>,
    /// When it was renewed last, and with how many connections, if those were all.
    renewed: Option<(Duration, Option<u64>)>,
}

impl Lease {
    /// None yet.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self { length, begun: false, link: 0, ends: None, unbroken: None, renewed: None }
    }

    /// Must it be begun, or renewed? And over which link is that asked.
    #[must_use]
    pub fn ask(&self) -> (bool, u64) {
        (!self.begun, self.link)
    }

    /// Time to renew it: a fifth of it has passed, or the connections of the node are not those that it told.
    #[must_use]
    pub fn is_due(&self, now: Duration, connections: u64) -> bool {
        self.ends.is_none()
            || self.renewed.is_none_or(|(at, told)| told != Some(connections) || now >= at + self.length / 5)
    }

    /// The link broke. Whatever is read over the next one may come from another memory.
    pub fn on_break(&mut self) {
        self.link += 1;
        (self.ends, self.unbroken) = (None, None);
    }

    /// It was renewed: asked for at `sent` over `link`, answered at `now`. `told`: the connections of the node; `None` when
    /// some were still on their way in, which is told again soon. True when facts may be told again: the lease has
    /// just begun to stand.
    pub fn on_renewed(&mut self, link: u64, sent: Duration, now: Duration, told: Option<u64>) -> bool {
        if link != self.link {
            return false;
        }
        self.begun = true;
        self.renewed = Some((now, told));
        self.unbroken.get_or_insert(now);
        self.ends.replace(sent + self.length).is_none()
    }

    /// The node was declared dead; its next id needs a lease of its own.
    pub fn on_end(&mut self) {
        *self = Self { link: self.link, ..Self::new(self.length) };
    }

    /// Does it stand? What a node says without a lease might never be taken away.
    #[must_use]
    pub fn stands(&self, now: Duration) -> bool {
        self.ends.is_some_and(|ends| now < ends)
    }

    /// Has it stood for so long that this node may judge others: whoever lives had time to come back?
    #[must_use]
    pub fn is_settled(&self, now: Duration) -> bool {
        self.stands(now) && self.unbroken.is_some_and(|since| now >= since + self.length)
    }
}

#[cfg(test)]
mod tests;
