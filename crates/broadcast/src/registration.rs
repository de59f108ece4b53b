//! A connection's entry in its app's registry. It is taken out by `Drop`, however the connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gema_protocol::frame;
use gema_protocol::socket_id::SocketId;
use gema_protocol::version::ProtocolVersion;

use crate::app::App;
use crate::outbound::Outbound;
use crate::transport::Transport;

/// Registered connections of an app, counted before they are let in so that a limit holds under a rush.
#[derive(Default)]
pub(crate) struct Quota(AtomicUsize);

impl Quota {
    /// Takes one of `limit` places, if there is one.
    fn take(&self, limit: usize) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < limit).then_some(n + 1)).is_ok()
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The app has as many connections as it may have. The transport comes back, to be told so.
pub(crate) struct OverQuota(pub(crate) Transport);

/// A registered connection: place in the quota and entry in the registry, both given back by `Drop`.
pub(crate) struct Registration {
    app: Arc<App>,
    outbound: Arc<Outbound>,
}

impl Registration {
    /// Registers a new connection under a fresh socket id; with a limit over several servers that may take a moment. Its
    /// greeting waits in the queue: whoever finds the connection in the registry cannot say anything before it, not even
    /// goodbye.
    pub(crate) async fn new(
        app: Arc<App>,
        transport: Transport,
        queue_bytes: usize,
        version: ProtocolVersion,
    ) -> Result<Self, OverQuota> {
        if !place(&app).await {
            return Err(OverQuota(transport));
        }
        let id = free_id(&app);
        let greeting = frame::connection_established(id, app.config.limits.activity_timeout_s);
        let outbound = Outbound::new(id, transport, queue_bytes).speaking(version).greeting(greeting);
        let outbound = Arc::new(outbound.opened_at(app.cluster.now_ms()));
        app.connections.insert(outbound.id(), outbound.clone());
        app.traffic.opened.add(1);
        Ok(Self { app, outbound })
    }

    /// The app connected to.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The connection's write half.
    pub(crate) fn outbound(&self) -> &Arc<Outbound> {
        &self.outbound
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.app.connections.remove(&self.outbound.id());
        self.app.quota.give_back();
    }
}

/// Takes a place; without a limit there always is one.
async fn place(app: &App) -> bool {
    match app.config.max_connections {
        None => app.quota.take(usize::MAX),
        Some(limit) => app.cluster.place(limit, |most| app.quota.take(most)).await,
    }
}

/// A random id nobody else has here. Sixty random bits make a second try a rarity.
fn free_id(app: &App) -> SocketId {
    loop {
        let id = random_id();
        if !app.connections.contains_key(&id) {
            return id;
        }
    }
}

/// A socket id from the operating system's random source: it is part of what subscriptions sign.
pub(crate) fn random_id() -> SocketId {
    SocketId::from_random(random_bytes())
}

/// A number that nobody else has.
pub(crate) fn random_number() -> u128 {
    u128::from_le_bytes(random_bytes())
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    #[expect(
        clippy::expect_used,
        reason = "without random numbers no id is safe to hand out, and Linux always has them"
    )]
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}
