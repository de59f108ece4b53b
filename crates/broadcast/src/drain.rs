//! The end of a server: who is sent away when, and what is waited for.
//!
//! Clients come back at once, and to the other servers: they are closed one by one over a time that is set, so that those
//! are not overrun. Requests are answered meanwhile. Then everything that is left ends, in order, within a few seconds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gema_protocol::close::CloseCode;
use gema_protocol::socket_id::SocketId;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::goodbye::Goodbye;
use crate::server::{self, BACKLOG, Shared};
use crate::webhooks::Running;

/// What the rest takes at most once everybody was sent away, if the time for all is over by then.
const REST: Duration = Duration::from_secs(3);
/// As [`REST`] for a server of a cluster, which has to tell the others.
const REST_OF_CLUSTER: Duration = Duration::from_secs(10);
/// How long each part of the rest may take: requests under way, then the goodbyes of the clients, then the cluster.
const PART: Duration = Duration::from_secs(8);
/// How long to wait before looking for connections that came in late.
const GOODBYE_ROUND: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// WebSocket connections that were sent away with 4200.
    pub closed: usize,
    /// Connections that ended by themselves while their turn had not come.
    pub gone: usize,
    /// Of those sent away, the ones that were still open when time was up, and were cut.
    pub left: usize,
    /// Events of this server that no other server of the cluster will get.
    pub lost: u64,
    /// Connections that a fault of ours has ended since the start; each is in the log.
    pub faults: usize,
    /// How long the end took.
    pub took: Duration,
}

/// Ends a server whose listener nobody serves any more.
pub(crate) async fn run(shared: &Arc<Shared>, listener: TcpListener, webhooks: Running) -> Summary {
    let (began, config) = (Instant::now(), &shared.config);
    shared.apps.all().for_each(|app| app.sends_elsewhere.store(app.cluster.is_on(), Ordering::Relaxed));
    close_listener(shared, listener);
    let mut summary = send_away(shared, config.spread).await;
    let rest = if config.cluster.is_some() { REST_OF_CLUSTER } else { REST };
    let deadline = (began + config.drain).max(Instant::now() + rest);
    let part = || deadline.min(Instant::now() + PART);
    webhooks.hurry();
    shared.last_call.cancel();
    // A request still running after this is cut off; its answer was not sent, so its publisher tries again.
    shared.requests.close();
    let _ = timeout_at(part(), shared.requests.wait()).await;
    let _ = timeout_at(part(), goodbyes(shared, &mut summary)).await;
    let _ = timeout_at(part(), told(shared)).await;
    webhooks.end(deadline).await;
    let _ = timeout_at(part(), resigned(shared)).await;
    let apps = || shared.apps.all();
    summary.left = shared.connections.len();
    summary.lost = apps().map(|app| app.cluster.counted(|node| node.waiting().0)).sum();
    summary.faults = apps().map(|app| app.faults.load(Ordering::Relaxed)).sum();
    summary.took = began.elapsed();
    summary
}

/// Serves what the kernel has accepted already, and nobody else: a listener that closes resets what waits for it, and with
/// it requests that a balancer has sent and must not repeat.
fn close_listener(shared: &Arc<Shared>, listener: TcpListener) {
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..BACKLOG {
        let Ok((socket, _)) = listener.accept() else { return };
        if let Ok(socket) = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket)) {
            server::accept(shared, socket);
        }
    }
}

/// Sends everybody away who is here now, evenly over `spread`, or at once.
async fn send_away(shared: &Shared, spread: Duration) -> Summary {
    let goodbye = Goodbye::of(CloseCode::Restarting);
    // Ids only: a connection that ends by itself must not be kept.
    let everybody: Vec<(&App, SocketId)> = shared.apps.all().flat_map(|app| ids(app)).collect();
    let (began, mut closed) = (Instant::now(), 0);
    // Nobody new is let in: the wait below ends with the last connection.
    shared.connections.close();
    let step = spread.checked_div(u32::try_from(everybody.len()).unwrap_or(u32::MAX)).unwrap_or_default();
    for (turn, (app, id)) in (0..).zip(&everybody) {
        let due = began + step * turn;
        if !step.is_zero() && timeout_at(due, shared.connections.wait()).await.is_ok() {
            break;
        }
        closed += usize::from(app.connections.get(id).is_some_and(|connection| connection.close(&goodbye)));
    }
    Summary { closed, gone: everybody.len() - closed, ..Summary::default() }
}

fn ids(app: &Arc<App>) -> Vec<(&App, SocketId)> {
    app.connections.iter().map(|entry| (&**app, *entry.key())).collect()
}

/// Ends when every connection has. A client whose handshake was under way when the end began is closed in its turn.
async fn goodbyes(shared: &Shared, summary: &mut Summary) {
    let goodbye = Goodbye::of(CloseCode::Restarting);
    loop {
        let everybody = shared.apps.all().flat_map(|app| app.connections.iter());
        summary.closed += everybody.filter(|connection| connection.close(&goodbye)).count();
        if timeout(GOODBYE_ROUND, shared.connections.wait()).await.is_ok() {
            return;
        }
    }
}

/// Ends when no other node waits for a sign of life of this one.
async fn resigned(shared: &Shared) {
    for app in shared.apps.all() {
        app.cluster.resign().await;
    }
}

/// Ends when the other nodes have everything that was published here.
async fn told(shared: &Shared) {
    for app in shared.apps.all() {
        app.cluster.told().await;
    }
}
