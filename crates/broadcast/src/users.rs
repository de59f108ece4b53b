//! Which connections belong to which user of an app: by sign-in, and by membership of presence channels. And who watches
//! whom.
//!
//! One lock for all of it: a watcher hears the state of everybody on its list first and each change after that, in order.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use gema_protocol::signin::watchlist_events;
use parking_lot::Mutex;

use crate::outbound::Outbound;

/// The users of one app.
#[derive(Default)]
pub(crate) struct Users {
    map: Mutex<HashMap<Arc<str>, User>>,
}

/// A user that somebody is, or watches.
#[derive(Default)]
struct User {
    signed_in: Vec<Arc<Outbound>>,
    /// Connections in presence channels as this user, once per channel.
    present: Vec<Arc<Outbound>>,
    watchers: Vec<Arc<Outbound>>,
}

impl User {
    fn is_nobody(&self) -> bool {
        self.signed_in.is_empty() && self.present.is_empty() && self.watchers.is_empty()
    }

    fn tell_watchers(&self, news: &Bytes) {
        for watcher in &self.watchers {
            watcher.send(news);
        }
    }
}

impl Users {
    /// Counts a signed-in connection. Watchers hear of the first.
    pub(crate) fn sign_in(&self, id: &str, connection: &Arc<Outbound>) {
        let mut map = self.map.lock();
        let user = map.entry(id.into()).or_default();
        user.signed_in.push(connection.clone());
        if user.signed_in.len() == 1 {
            user.tell_watchers(&watchlist_events(&[id], &[]));
        }
    }

    /// Takes a signed-in connection back. Watchers hear of the last.
    pub(crate) fn sign_out(&self, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| {
            let signed_in = !user.signed_in.is_empty();
            take(&mut user.signed_in, connection);
            if signed_in && user.signed_in.is_empty() {
                user.tell_watchers(&watchlist_events(&[], &[id]));
            }
        });
    }

    /// Counts a connection in a presence channel.
    pub(crate) fn appear(&self, id: &str, connection: &Arc<Outbound>) {
        self.map.lock().entry(id.into()).or_default().present.push(connection.clone());
    }

    /// Takes a connection in a presence channel back.
    pub(crate) fn disappear(&self, id: &str, connection: &Arc<Outbound>) {
        self.change(id, |user| take(&mut user.present, connection));
    }

    /// Makes a connection a watcher of these users; it is sent their present state in one frame.
    pub(crate) fn watch<'a>(&self, ids: impl Iterator<Item = &'a str>, watcher: &Arc<Outbound>) {
        let mut map = self.map.lock();
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for id in ids {
            let user = map.entry(id.into()).or_default();
            user.watchers.push(watcher.clone());
            if user.signed_in.is_empty() { offline.push(id) } else { online.push(id) }
        }
        if online.len() + offline.len() > 0 {
            watcher.send(&watchlist_events(&online, &offline));
        }
    }

    /// Ends the watch.
    pub(crate) fn unwatch(&self, id: &str, watcher: &Arc<Outbound>) {
        self.change(id, |user| take(&mut user.watchers, watcher));
    }

    /// Every connection of a user by sign-in and, if asked, by presence; some may stand here twice.
    pub(crate) fn connections_of(&self, id: &str, by_presence: bool) -> Vec<Arc<Outbound>> {
        let map = self.map.lock();
        let Some(user) = map.get(id) else { return Vec::new() };
        let present = if by_presence { user.present.as_slice() } else { &[] };
        user.signed_in.iter().chain(present).cloned().collect()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut User)) {
        let mut map = self.map.lock();
        let Some(user) = map.get_mut(id) else { return };
        change(user);
        if user.is_nobody() {
            map.remove(id);
        }
    }
}

/// Takes one mention of the connection out.
fn take(connections: &mut Vec<Arc<Outbound>>, connection: &Arc<Outbound>) {
    if let Some(at) = connections.iter().position(|other| Arc::ptr_eq(other, connection)) {
        connections.swap_remove(at);
    }
}
