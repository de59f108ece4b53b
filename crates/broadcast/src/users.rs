//! Which connections belong to which user of an app: by sign-in, and by membership of presence channels. And who watches
//! whom.
//!
//! A user is online who is signed in on any node; each node keeps the grace for its own watchers.
//!
//! One lock for all of it: a watcher hears the state of everybody on its list first and each change after that, in order.
//! A user who comes back within [`GRACE`] was never away: a page that reloads does not blink in everybody's list.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gema_protocol::signin::watchlist_events;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::config::Termination;
use crate::goodbye::Goodbye;
use crate::outbound::Outbound;

/// How long watchers take a user for online whose last connection has ended. pusher-js reconnects after one second.
const GRACE: Duration = Duration::from_secs(3);

/// The users of one app.
#[derive(Default)]
pub(crate) struct Users {
    map: Mutex<HashMap<Arc<str>, User>>,
}

/// A user that somebody is, or watches.
#[derive(Default)]
struct User {
    signed_in: Vec<Arc<Outbound>>,
    /// When watchers hear that the last of these is gone; `None` when there is nothing to hear.
    offline_at: Option<Instant>,
    /// Connections in presence channels as this user, once per channel.
    present: Vec<Arc<Outbound>>,
    watchers: Vec<Arc<Outbound>>,
    /// Other nodes have signed-in connections of the user. Followed while somebody is [expected](Users::expect).
    elsewhere: bool,
    /// Watchers and those who are going to be.
    expected: usize,
}

impl User {
    fn is_nobody(&self) -> bool {
        let connections = [&self.signed_in, &self.present, &self.watchers];
        self.expected == 0 && self.offline_at.is_none() && connections.into_iter().all(Vec::is_empty)
    }

    fn is_signed_in(&self) -> bool {
        self.elsewhere || !self.signed_in.is_empty()
    }

    /// As far as watchers know.
    fn is_online(&self) -> bool {
        self.is_signed_in() || self.offline_at.is_some()
    }

    /// Watchers hear of the first connection, on whichever node, and of the last, unless the user comes back soon. The time
    /// when they hear of the last comes back if it has just gone.
    fn change(&mut self, id: &str, change: impl FnOnce(&mut Self)) -> Option<Instant> {
        let was_signed_in = self.is_signed_in();
        change(self);
        match (was_signed_in, self.is_signed_in()) {
            (false, true) => {
                if self.offline_at.take().is_none() {
                    self.tell_watchers(&watchlist_events(&[id], &[]));
                }
                None
            }
            (true, false) if !self.watchers.is_empty() => {
                self.offline_at = Some(Instant::now() + GRACE);
                self.offline_at
            }
            _ => None,
        }
    }

    fn tell_watchers(&self, news: &Bytes) {
        for watcher in &self.watchers {
            watcher.send(news);
        }
    }
}

impl Users {
    /// Counts a signed-in connection. Watchers hear of the first.
    pub(crate) fn sign_in(self: &Arc<Self>, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| user.signed_in.push(connection.clone()));
    }

    /// Takes a signed-in connection back. Watchers hear of the last, unless the user comes back soon.
    pub(crate) fn sign_out(self: &Arc<Self>, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| {
            take(&mut user.signed_in, connection);
        });
    }

    /// Somebody is going to watch a user: from now on it is followed whether other nodes have signed-in connections of the
    /// user. Taken back by [`Users::unwatch`].
    pub(crate) fn expect(self: &Arc<Self>, id: &str, elsewhere: bool) {
        self.change(id, |user| {
            user.expected += 1;
            user.elsewhere = elsewhere;
        });
    }

    /// Other nodes have signed-in connections of a user, or have none any more.
    pub(crate) fn set_elsewhere(self: &Arc<Self>, id: &str, elsewhere: bool) {
        self.change(id, |user| user.elsewhere = elsewhere);
    }

    async fn go_offline(self: Arc<Self>, id: Box<str>, at: Instant) {
        sleep_until(at).await;
        self.change(&id, |user| {
            // Otherwise the user came back, and may be leaving once more.
            if user.offline_at == Some(at) {
                user.offline_at = None;
                user.tell_watchers(&watchlist_events(&[], &[&id]));
            }
        });
    }

    /// Counts a connection in a presence channel.
    pub(crate) fn appear(self: &Arc<Self>, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| user.present.push(connection.clone()));
    }

    /// Takes a connection in a presence channel back.
    pub(crate) fn disappear(self: &Arc<Self>, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| {
            take(&mut user.present, connection);
        });
    }

    /// Makes a connection a watcher of these users; it is sent their present state in one frame.
    pub(crate) fn watch<'a>(&self, ids: impl Iterator<Item = &'a str>, watcher: &Arc<Outbound>) {
        let mut map = self.map.lock();
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for id in ids {
            let user = map.entry(id.into()).or_default();
            user.watchers.push(watcher.clone());
            if user.is_online() { online.push(id) } else { offline.push(id) }
        }
        if online.len() + offline.len() > 0 {
            watcher.send(&watchlist_events(&online, &offline));
        }
    }

    /// Ends the watch, whether it has begun or was only expected.
    pub(crate) fn unwatch(self: &Arc<Self>, id: &str, watcher: &Arc<Outbound>) {
        self.change(id, |user| {
            take(&mut user.watchers, watcher);
            user.expected = user.expected.saturating_sub(1);
        });
    }

    /// Closes every connection of a user; those only that stood at a time of the cluster's clock, if one is given.
    pub(crate) fn terminate(&self, id: &str, how: Termination, published_ms: Option<u64>) {
        let goodbye = Goodbye::of(how.code);
        for connection in self.connections_of(id, how.by_presence) {
            if published_ms.is_none_or(|published_ms| connection.opened_ms() <= published_ms) {
                connection.close(&goodbye);
            }
        }
    }

    /// Every connection of a user by sign-in and, if asked, by presence; some may stand here twice.
    pub(crate) fn connections_of(&self, id: &str, by_presence: bool) -> Vec<Arc<Outbound>> {
        let map = self.map.lock();
        let Some(user) = map.get(id) else { return Vec::new() };
        let present = if by_presence { user.present.as_slice() } else { &[] };
        user.signed_in.iter().chain(present).cloned().collect()
    }

    fn change(self: &Arc<Self>, id: &str, change: impl FnOnce(&mut User)) {
        let mut map = self.map.lock();
        let user = map.entry(id.into()).or_default();
        let due = user.change(id, change);
        if user.is_nobody() {
            map.remove(id);
        }
        self.expect_end(id, due);
    }

    /// Lets watchers hear at that time that a user has gone.
    fn expect_end(self: &Arc<Self>, id: &str, due: Option<Instant>) {
        if let Some(at) = due {
            tokio::spawn(self.clone().go_offline(id.into(), at));
        }
    }
}

/// Takes one mention of the connection out; false when there is none.
fn take(connections: &mut Vec<Arc<Outbound>>, connection: &Arc<Outbound>) -> bool {
    let at = connections.iter().position(|other| Arc::ptr_eq(other, connection));
    at.map(|at| connections.swap_remove(at)).is_some()
}

#[cfg(test)]
mod tests;
