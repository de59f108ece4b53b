//! One app of this node among the others: tells them what is published here, and hears what is published there.
//!
//! Nothing here is waited for by a local delivery. Tasks do the work: [`telling`] empties what is outgoing, [`facts`] tells
//! who is here, [`holding`] asks for topics, [`hearing`] orders what comes, [`lease`] says that this node lives and takes away
//! what the dead have said. They end with the [`Node`]. What a client or publisher waits for is asked in [`asking`].

mod asking;
mod facts;
mod hearing;
mod holding;
pub mod hooks;
mod lease;
mod others;
mod places;
mod telling;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gema_protocol::channel::ChannelName;
use gema_protocol::presence::{Member, UserId};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::{Engine, Notices};
use crate::entry::{Event, Origin};
use crate::identity::Identity;
use crate::interest::Interest;
use crate::outgoing::{Full, Outgoing};
use crate::replica;
use crate::truth::Truth;
use hooks::Agenda;
pub use lease::Deaths;
use lease::Life;
pub use others::Others;

/// How long a publisher that asked for it waits until the cluster has its event: it is answered within two seconds.
pub const ACKNOWLEDGE: Duration = Duration::from_millis(1_800);
/// How long a question may wait for the cluster's answer.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Topics that may be confirmed before the hearing task has noticed.
const CHANGES: usize = 1_024;

/// Where events of other nodes go. Called by one task, in order; must not wait.
pub trait Listener: Send + Sync + 'static {
    /// An event for the subscribers of a channel. `late` is given for one that comes late: it is only for subscriptions
    /// that stood at that time ([`Node::now_ms`]).
    fn deliver(&self, channel: &ChannelName, event: Event, late: Option<u64>);

    /// The last event of a cache channel, newer than what this node may have of its own.
    fn keep(&self, channel: &ChannelName, text: &str, time: Duration);

    /// What other nodes' members of a presence channel have come and gone. Nothing else is learned of the channel meanwhile.
    fn members(&self, channel: &ChannelName, changes: Vec<replica::Change>);

    /// How many connections of other nodes subscribe to a channel, when that has changed.
    fn count(&self, channel: &ChannelName, elsewhere: u64);

    /// How long a cache channel keeps its last event.
    fn cache_ttl(&self) -> Duration;

    /// How many clients are connected to this node.
    fn connections(&self) -> u64;

    /// Most clients on all nodes together; `None`: no limit.
    fn most_connections(&self) -> Option<u64>;
}

/// What has been lost for good, in events.
#[derive(Debug, Default)]
pub struct Losses {
    /// Published here, never taken by Redis.
    pub told: AtomicU64,
    /// Published elsewhere, missing from the log.
    pub heard: AtomicU64,
}

/// What has gone to and fro, in events.
#[derive(Debug, Default)]
pub struct Flow {
    /// Taken by Redis for the other nodes; those that it forgot and was told again count again.
    pub told: AtomicU64,
    /// Of other nodes, delivered here.
    pub heard: AtomicU64,
    /// Those of them that came late, from the log.
    pub replayed: AtomicU64,
}

/// An app's share of the cluster.
pub struct Node {
    shared: Arc<Shared>,
    _tasks: DropGuard,
}

struct Shared {
    engine: Arc<dyn Engine>,
    listener: Arc<dyn Listener>,
    origin: Origin,
    identity: Identity,
    life: Life,
    born: Instant,
    linked: AtomicBool,
    outgoing: Mutex<Outgoing>,
    interest: Mutex<Interest>,
    truth: Mutex<Truth>,
    others: Arc<Others>,
    /// Publishers that wait until an entry is in the log, by its number.
    waiting: Mutex<HashMap<u64, Vec<oneshot::Sender<()>>>>,
    to_tell: Notify,
    to_hold: Notify,
    to_claim: Notify,
    agenda: Agenda,
    losses: Arc<Losses>,
    flow: Flow,
}

/// What the holding task tells the hearing task.
enum Change {
    Held(Vec<ChannelName>),
    LetGo(Vec<ChannelName>),
    /// Whoever is missing from a snapshot has left, from now on.
    Settled,
}

/// The cluster has not confirmed an event. It may still get it: the publisher decides whether to repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster has not confirmed the event")]
pub struct Unconfirmed;

impl Node {
    /// Begins. `origin` is random; `limit` bounds in bytes what waits for Redis or may have to be told again.
    pub fn start(
        engine: Arc<dyn Engine>,
        notices: Notices,
        listener: Arc<dyn Listener>,
        origin: Origin,
        limit: usize,
    ) -> Self {
        let identity = Identity::new(origin);
        let shared = Arc::new(Shared {
            life: Life::new(engine.lease()),
            engine,
            listener,
            origin,
            born: Instant::now(),
            linked: AtomicBool::new(false),
            outgoing: Mutex::new(Outgoing::new(origin, limit)),
            interest: Mutex::default(),
            truth: Mutex::default(),
            others: Arc::new(Others::new(identity.clone())),
            identity,
            waiting: Mutex::default(),
            to_tell: Notify::new(),
            to_hold: Notify::new(),
            to_claim: Notify::new(),
            agenda: Agenda::default(),
            losses: Arc::default(),
            flow: Flow::default(),
        });
        let ending = CancellationToken::new();
        let (changes, changed) = mpsc::channel(CHANGES);
        tokio::spawn(ending.clone().run_until_cancelled_owned(telling::run(shared.clone())));
        tokio::spawn(ending.clone().run_until_cancelled_owned(lease::run(shared.clone(), changes.clone())));
        tokio::spawn(ending.clone().run_until_cancelled_owned(lease::reap(shared.clone())));
        tokio::spawn(ending.clone().run_until_cancelled_owned(facts::run(shared.clone())));
        tokio::spawn(ending.clone().run_until_cancelled_owned(holding::run(shared.clone(), changes)));
        tokio::spawn(ending.clone().run_until_cancelled_owned(hearing::run(
            shared.clone(),
            notices,
            changed,
        )));
        Self { shared, _tasks: ending.drop_guard() }
    }

    /// Takes an event for the other nodes and returns at once.
    ///
    /// # Errors
    /// [`Full`] when Redis has been away for so long that there is no room: the other nodes will not get it.
    pub fn publish(&self, channel: &ChannelName, event: Event) -> Result<(), Full> {
        self.shared.push(channel, event).map(drop)
    }

    /// As [`Node::publish`], for a publisher that waits until Redis has the event.
    ///
    /// # Errors
    /// As [`Node::publish`].
    pub fn publish_acknowledged(&self, channel: &ChannelName, event: Event) -> Result<Acknowledged, Full> {
        // Locked before the event can leave: its answer must find who waits for it.
        let mut waiting = self.shared.waiting.lock();
        let number = self.shared.push(channel, event)?;
        let (done, wait) = oneshot::channel();
        waiting.entry(number).or_default().push(done);
        Ok(Acknowledged(wait))
    }

    /// A client of this node comes to a channel, as this member if it is a presence channel. The receiver fires when its
    /// events are heard, and in a presence channel when everybody knows of the member and this node of everybody. `None`:
    /// go on at once, there is nothing or no link to wait for.
    #[must_use]
    pub fn enter(&self, channel: &ChannelName, member: Option<&Member>) -> Option<oneshot::Receiver<()>> {
        let held = self.hold(channel);
        let wait = match member {
            Some(member) => self.claim(channel, member),
            None => {
                self.shared.truth.lock().joined(channel, None, self.shared.now());
                held
            }
        };
        self.shared.to_claim.notify_one();
        wait.filter(|_| self.is_linked())
    }

    /// Locked, so that an answer finds who waits for it.
    fn claim(&self, channel: &ChannelName, member: &Member) -> Option<oneshot::Receiver<()>> {
        let (id, json) = (member.user_id.as_str(), member.to_json().into());
        let other = self.shared.others.of(channel);
        let mut other = other.lock();
        let step = self.shared.truth.lock().joined(channel, Some((id, &json)), self.shared.now());
        if self.is_linked() { other.wait(step) } else { None }
    }

    /// A client of this node has left a channel, or has not come in after all.
    pub fn leave(&self, channel: &ChannelName, user: Option<&UserId>) {
        self.shared.truth.lock().left(channel, user.map(UserId::as_str), self.shared.now());
        self.shared.to_claim.notify_one();
        self.release(channel);
    }

    /// What the other nodes say of the channels that this node holds.
    #[must_use]
    pub fn others(&self) -> &Arc<Others> {
        &self.shared.others
    }

    /// As [`Node::hold`], for one who wants to know at once what other nodes say of the channel.
    #[must_use]
    pub fn look_up(&self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        // What they say is asked for once the topic is confirmed, so that is the longer wait.
        let _ = self.hold(channel);
        let wait = self.shared.others.of(channel).lock().wait(None);
        wait.filter(|_| self.is_linked())
    }

    /// A client of this node needs a channel. `None`: go on at once, the topic is held, or there is no link to wait for.
    #[must_use]
    pub fn hold(&self, channel: &ChannelName) -> Option<oneshot::Receiver<()>> {
        let wait = self.shared.interest.lock().hold(channel)?;
        self.shared.to_hold.notify_one();
        self.is_linked().then_some(wait)
    }

    /// A client of this node has left a channel.
    pub fn release(&self, channel: &ChannelName) {
        let now = self.shared.now();
        self.shared.interest.lock().release(channel, now);
    }

    /// Does the link stand, as far as is known?
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.shared.linked.load(Ordering::Acquire)
    }

    /// The time that all nodes share, in milliseconds since 1970; as early as it may be. An event bears the time as late as it
    /// may be: so what is published after a client has subscribed is never taken for older than that, by no clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.engine.now_ms().saturating_sub(self.shared.engine.clock_error_ms())
    }

    /// What has been lost so far.
    #[must_use]
    pub fn losses(&self) -> &Arc<Losses> {
        &self.shared.losses
    }

    /// The id under which this node speaks of its clients now.
    #[must_use]
    pub fn id(&self) -> Origin {
        self.shared.identity.current()
    }

    /// What happened to leases so far.
    #[must_use]
    pub fn deaths(&self) -> &Arc<Deaths> {
        &self.shared.life.deaths
    }

    /// How many clients are connected to all nodes; of the other nodes as they said last, or before the link broke.
    pub async fn connections(&self) -> u64 {
        if self.is_linked() {
            let _ = timeout(PATIENCE, self.shared.life.ask()).await;
        }
        self.shared.listener.connections() + self.shared.life.elsewhere()
    }

    /// What has gone to and fro so far.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.shared.flow
    }

    /// What Redis has not taken yet: events, and the bytes they take.
    #[must_use]
    pub fn waiting(&self) -> (u64, u64) {
        let outgoing = self.shared.outgoing.lock();
        (outgoing.waiting() as u64, outgoing.waiting_bytes() as u64)
    }

    /// How often Redis had something for us that none of us wrote, or that could not be read.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.engine.refused()
    }

    /// Ends when everything published here is in Redis, and all that is true of this node's clients; the caller bounds the
    /// wait.
    pub async fn told(&self) {
        while self.shared.has_to_tell() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An event on its way to the log.
#[derive(Debug)]
pub struct Acknowledged(oneshot::Receiver<()>);

impl Acknowledged {
    /// Ends when the event is in Redis' log.
    ///
    /// # Errors
    /// When it is not, by `deadline`.
    pub async fn by(self, deadline: Instant) -> Result<(), Unconfirmed> {
        let left = deadline.saturating_duration_since(Instant::now());
        timeout(left, self.0).await.ok().and_then(Result::ok).ok_or(Unconfirmed)
    }
}

impl Shared {
    /// The number of the entry that will carry the event.
    fn push(&self, channel: &ChannelName, event: Event) -> Result<u64, Full> {
        let at_ms = self.engine.now_ms().saturating_add(self.engine.clock_error_ms());
        let pushed = self.outgoing.lock().push(channel, event, self.now(), at_ms);
        if pushed.is_err() {
            self.losses.told.fetch_add(1, Ordering::Relaxed);
        }
        self.to_tell.notify_one();
        pushed
    }

    /// Facts are told again to whoever comes back: without a link they are not waited for.
    fn has_to_tell(&self) -> bool {
        self.outgoing.lock().waiting() > 0 || (self.is_linked() && !self.truth.lock().is_told())
    }

    /// Time since this node was born.
    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    fn is_linked(&self) -> bool {
        self.linked.load(Ordering::Acquire)
    }
}
