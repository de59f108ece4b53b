//! What other nodes say of the channels that this node holds, and who waits to know it.
//!
//! A channel's state has a lock of its own. Whoever learns something of it tells the listener before the lock is given
//! back, and whoever begins a channel takes what is known under the same lock: nothing is heard twice or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use gema_protocol::channel::ChannelName;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::identity::Identity;
use crate::replica::{Replica, Version};
use crate::truth::{Settled, Step};

/// The channels of one app.
pub struct Others {
    identity: Identity,
    channels: Mutex<HashMap<ChannelName, Arc<Mutex<Other>>>>,
}

/// What is known of one channel.
pub(super) struct Other {
    pub(super) replica: Replica,
    /// Counts the snapshots asked for: only the last one counts.
    pub(super) asked: u64,
    waiting: Vec<(Until, oneshot::Sender<()>)>,
}

/// What a newcomer waits for.
enum Until {
    /// That everybody knows of this step.
    Told(Step),
    /// That this node knows this state.
    Known(Version),
}

impl Others {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, channels: Mutex::default() }
    }

    /// Looks at what the others say of a channel that is held, while nothing new is learned of it.
    pub fn with<T>(&self, channel: &ChannelName, look: impl FnOnce(&Replica) -> T) -> T {
        look(&self.of(channel).lock().replica)
    }

    /// A channel that is held, or is just about to be.
    pub(super) fn of(&self, channel: &ChannelName) -> Arc<Mutex<Other>> {
        let new = || {
            let replica = Replica::new(self.identity.clone());
            Arc::new(Mutex::new(Other { replica, asked: 0, waiting: Vec::new() }))
        };
        self.channels.lock().entry(channel.clone()).or_insert_with(new).clone()
    }

    /// A channel that something is known of, or is asked about.
    pub(super) fn get(&self, channel: &ChannelName) -> Option<Arc<Mutex<Other>>> {
        self.channels.lock().get(channel).cloned()
    }

    /// Forgets channels that are not held any more. Asked under the lock: who holds one looks it up afterwards.
    pub(super) fn retain(&self, is_held: impl Fn(&ChannelName) -> bool) {
        self.channels.lock().retain(|channel, _| is_held(channel));
    }

    /// Those of these channels that are not held are forgotten.
    pub(super) fn let_go(&self, channels: &[ChannelName], is_held: impl Fn(&ChannelName) -> bool) {
        let mut known = self.channels.lock();
        channels.iter().filter(|channel| !is_held(channel)).for_each(|channel| drop(known.remove(channel)));
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(ChannelName, Arc<Mutex<Other>>)> {
        self.channels.lock().iter().map(|(name, other)| (name.clone(), other.clone())).collect()
    }

    /// What was told is true for everybody.
    pub(super) fn settled(&self, settled: &Settled) {
        if let Some(other) = self.get(&settled.channel) {
            other.lock().settled(settled);
        }
    }
}

impl Other {
    /// Fires when the node knows everybody who was there when the step was told to the others; `None` for a step that they
    /// know.
    pub(super) fn wait(&mut self, step: Option<Step>) -> Option<oneshot::Receiver<()>> {
        if step.is_none() && self.replica.version().is_some() {
            return None;
        }
        let (done, wait) = oneshot::channel();
        self.waiting.push((step.map_or(Until::Known(0), Until::Told), done));
        Some(wait)
    }

    fn settled(&mut self, settled: &Settled) {
        for (until, _) in &mut self.waiting {
            if matches!(until, Until::Told(step) if *step <= settled.step) {
                *until = Until::Known(settled.version);
            }
        }
        self.wake();
    }

    /// Lets those go on whose wait is over.
    pub(super) fn wake(&mut self) {
        let Some(known) = self.replica.version() else { return };
        let is_over = |until: &Until| matches!(until, Until::Known(version) if *version <= known);
        for (_, done) in self.waiting.extract_if(.., |(until, _)| is_over(until)) {
            // Whoever does not wait any more has gone on without it.
            let _ = done.send(());
        }
        self.waiting.retain(|(_, done)| !done.is_closed());
    }

    /// The link is gone: nobody waits for it, and what is known may be old.
    pub(super) fn unlinked(&mut self) {
        self.replica.on_failure();
        self.waiting.clear();
    }
}
