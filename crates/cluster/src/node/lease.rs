//! This node's lease: renews it, takes another id when it was lost, and takes away what the dead have said.
//!
//! Two tasks: a renewal must never wait until somebody is reaped. What a lease is, and when a node may judge others, is in
//! [`crate::lease`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::places::Room;
use super::{Change, Node, Shared};
use crate::engine::EngineError;
use crate::entry::Origin;
use crate::lease::{Lease, Renewal, Renewed, Standing};
use crate::name::{PARTITIONS, Partition};
use crate::replica::Absence;

/// Parts of a lease between two looks whether there is news to tell with a renewal.
const LOOKS: u32 = 40;
/// How often the reaper looks by itself.
const PAUSE: Duration = Duration::from_secs(1);
/// Partitions that are reaped at once.
const AT_ONCE: usize = 8;

/// What happened to leases, since the start.
#[derive(Debug, Default)]
pub struct Deaths {
    /// Times that this node was declared dead, or forgotten, and went on under another id.
    pub leases_lost: AtomicU64,
    /// Other nodes that this node found dead and buried. Over all nodes each counts once.
    pub nodes_reaped: AtomicU64,
}

/// What this node knows of its life and that of others.
pub(super) struct Life {
    lease: Mutex<Lease>,
    /// Others whose lease has ended, as of the last renewal; none while this node may not judge.
    ended: Mutex<Vec<Origin>>,
    /// Own former ids whose facts are still to be taken away.
    given_up: Mutex<Vec<Origin>>,
    elsewhere: AtomicU64,
    /// Those who wait for the next renewal.
    asking: Mutex<Vec<oneshot::Sender<()>>>,
    /// Clients that wait for a place.
    pub(super) at_the_door: AtomicU64,
    pub(super) room: Mutex<Room>,
    /// The node ends: it lets its lease go.
    resigned: AtomicBool,
    to_renew: Notify,
    to_reap: Notify,
    pub(super) deaths: Arc<Deaths>,
}

impl Life {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            lease: Mutex::new(Lease::new(length)),
            ended: Mutex::default(),
            given_up: Mutex::default(),
            elsewhere: AtomicU64::new(0),
            asking: Mutex::default(),
            at_the_door: AtomicU64::new(0),
            room: Mutex::default(),
            resigned: AtomicBool::new(false),
            to_renew: Notify::new(),
            to_reap: Notify::new(),
            deaths: Arc::default(),
        }
    }

    /// The link stands: whether the lease does is seen at once.
    pub(super) fn on_up(&self) {
        self.to_renew.notify_one();
    }

    pub(super) fn on_down(&self) {
        self.lease.lock().on_break();
        self.ended.lock().clear();
    }

    /// Clients of other nodes, as of the last renewal.
    pub(super) fn elsewhere(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// Fires when a renewal that begins after this has been answered.
    pub(super) fn ask(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.asking.lock().push(done);
        self.to_renew.notify_one();
        wait
    }
}

impl Shared {
    /// May this node speak of its clients? Without a lease nobody would ever take its words away.
    pub(super) fn may_tell(&self) -> bool {
        self.life.lease.lock().stands(self.now())
    }

    /// What it means that somebody is missing from a snapshot read now.
    pub(super) fn absence(&self) -> Absence {
        let is_settled = self.life.lease.lock().is_settled(self.now());
        if is_settled { Absence::Leaving } else { Absence::Doubtful }
    }

    /// Somebody says that this node is dead: it goes on under another id, with everything still to be told.
    pub(super) fn declared_dead(&self, id: Origin) {
        if self.identity.current() != id || self.life.resigned.load(Ordering::Acquire) {
            return;
        }
        // Before there is another id: it must not speak before it has a lease.
        self.life.lease.lock().on_end();
        if !self.identity.give_up(id) {
            return;
        }
        self.truth.lock().tell_everything(self.now());
        self.life.given_up.lock().push(id);
        self.life.deaths.leases_lost.fetch_add(1, Ordering::Relaxed);
        self.life.to_renew.notify_one();
        tracing::warn!("this node was declared dead, or Redis has forgotten it; it goes on as a new one");
    }
}

/// Renews, for ever. The hearing task is told when absence begins to mean leaving.
pub(super) async fn run(shared: Arc<Shared>, changes: mpsc::Sender<Change>) {
    let mut was_settled = false;
    loop {
        let _ = timeout(shared.engine.lease() / LOOKS, shared.life.to_renew.notified()).await;
        if shared.is_linked() && !shared.life.resigned.load(Ordering::Acquire) && is_due(&shared) {
            renew(&shared).await;
        }
        let is_settled = shared.absence() == Absence::Leaving;
        if is_settled && !was_settled && changes.send(Change::Settled).await.is_err() {
            return;
        }
        was_settled = is_settled;
    }
}

fn is_due(shared: &Shared) -> bool {
    let connections = shared.listener.connections();
    !shared.life.asking.lock().is_empty() || shared.life.lease.lock().is_due(shared.now(), connections)
}

async fn renew(shared: &Shared) {
    let asking = std::mem::take(&mut *shared.life.asking.lock());
    let (first, link) = shared.life.lease.lock().ask();
    let (node, connections) = (shared.identity.current(), shared.listener.connections());
    let wanted = shared.life.at_the_door.load(Ordering::Acquire);
    let renewal = Renewal { node, first, connections, wanted, limit: shared.listener.most_connections() };
    let sent = shared.now();
    match shared.engine.renew(&renewal).await {
        Ok(Renewed::Stands(standing)) => {
            let told = (wanted == 0).then_some(connections);
            let began = shared.life.lease.lock().on_renewed(link, sent, shared.now(), told);
            shared.life.room.lock().on_renewed(&renewal, standing.places, shared.now());
            on_standing(shared, standing, began);
        }
        Ok(Renewed::Ended) => shared.declared_dead(node),
        // Those who ask learn that there is no answer.
        Err(error) => return tracing::debug!(%error, "the lease was not renewed; it is tried again"),
    }
    for one in asking {
        // It may have stopped waiting.
        let _ = one.send(());
    }
}

fn on_standing(shared: &Shared, standing: Standing, began: bool) {
    shared.life.elsewhere.store(standing.elsewhere, Ordering::Relaxed);
    if began {
        shared.to_claim.notify_one();
    }
    if shared.absence() == Absence::Leaving && !standing.ended.is_empty() {
        let others = standing.ended.into_iter().filter(|node| !shared.identity.is_own(*node));
        *shared.life.ended.lock() = others.collect();
        shared.life.to_reap.notify_one();
    }
}

impl Node {
    /// Leaves the cluster: takes back whatever it still says of its clients, and its lease. The last thing that a node does;
    /// without it the others would wait for its lease to end. The caller bounds the wait.
    pub async fn resign(&self) {
        self.shared.life.resigned.store(true, Ordering::Release);
        if !self.is_linked() {
            return;
        }
        if let Err(error) = bury(&self.shared, self.id()).await {
            tracing::debug!(%error, "this node leaves without a word; the others find out");
        }
    }
}

/// Takes the dead away, for ever.
pub(super) async fn reap(shared: Arc<Shared>) {
    loop {
        let _ = timeout(PAUSE, shared.life.to_reap.notified()).await;
        while let Some(node) = next_dead(&shared) {
            if let Err(error) = bury(&shared, node).await {
                tracing::debug!(%error, "a dead node is not quite gone yet; it is tried again");
                // The next renewal names it again; until then it is the turn of others.
                shared.life.ended.lock().retain(|ended| *ended != node);
                break;
            }
        }
    }
}

/// Another node, or a former id of this one.
fn next_dead(shared: &Shared) -> Option<Origin> {
    if !shared.is_linked() {
        return None;
    }
    // What the node said under a former id stands until it has said it under the present one.
    let former = shared.life.given_up.lock().first().copied();
    let former = former.filter(|_| shared.may_tell() && shared.truth.lock().is_told_anew());
    former.or_else(|| shared.life.ended.lock().first().copied())
}

/// Partition by partition. Each node begins at another one, so that several share the work.
async fn bury(shared: &Shared, node: Origin) -> Result<(), EngineError> {
    let mut partitions: Vec<_> = Partition::all().collect();
    let first = shared.identity.current().0 % u128::from(PARTITIONS);
    partitions.rotate_left(usize::try_from(first).unwrap_or(0));
    let reaped: Vec<_> =
        partitions.into_iter().map(|partition| shared.engine.reap(node, partition)).collect();
    stream::iter(reaped).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    if shared.agenda.is_on() {
        if node == shared.identity.current() {
            // Its webhooks are for somebody who lives: whoever buries it takes them over.
            return shared.engine.lay_down(node).await;
        }
        shared.inherit(node).await?;
    }
    if shared.engine.bury(node).await? && !shared.identity.is_own(node) {
        shared.life.deaths.nodes_reaped.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            node = format_args!("{:032x}", node.0),
            "a dead node's clients are taken out of every channel"
        );
    }
    shared.life.ended.lock().retain(|ended| *ended != node);
    shared.life.given_up.lock().retain(|former| *former != node);
    Ok(())
}
