//! Starts and ends the roles: API with its worker, and worker alone.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::bell::Bell;
use crate::config::{Config, Queue};
use crate::domain::WorkingDay;
use crate::error::{Error, StartError};
use crate::http::{self, Bounds};
use crate::metrics::{Counts, OnShow};
use crate::password::Passwords;
use crate::queue::{Feed, List, Teller};
use crate::redis::Redis;
use crate::router::router;
use crate::state::{App, State};
use crate::store::Store;
use crate::worker::Worker;
use crate::{DEMO_EMAIL, DEMO_PASSWORD, secret};

/// A node's share of browsers and balancers, far below what descriptors and memory allow.
const CONNECTIONS: usize = 4096;
/// A request without its body is one packet.
const HEADERS: Duration = Duration::from_secs(30);
/// How often is removed what has had its time: ended sessions, answers kept for repeats, failed sign-ins.
const SWEEP: Duration = Duration::from_secs(600);

/// How long a client may leave an answer untaken.
const STALL: Duration = Duration::from_secs(30);

/// An attendance API that is ready to serve: its settings are good and its database is open.
#[derive(Debug)]
pub struct Node {
    app: App,
    /// The list in Redis that is told of commits.
    list: Option<List>,
    teller: Option<Teller>,
}

impl Node {
    /// Gets everything ready that can fail; `address` is where it will listen.
    ///
    /// # Errors
    /// [`StartError`], one sentence that names cause and fix.
    pub async fn open(config: Config, address: SocketAddr) -> Result<Self, StartError> {
        build(config, address).await
    }

    /// Serves on `listener` until `shutdown` completes, then finishes requests and events in flight within
    /// `config.worker.drain`. The worker runs beside it unless `config.worker.in_process` is false.
    ///
    /// # Errors
    /// [`StartError`], one sentence that names cause and fix.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), StartError> {
        serve(self, listener, shutdown).await
    }
}

async fn serve(
    Node { app, list, teller }: Node,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    warn_about_demo_account(&app).await;
    let on_show = OnShow::start(&app.config.board, &app.store, app.redis.as_ref(), &app.counts);
    let (end, ended) = watch::channel(false);
    let worker = app
        .config
        .worker
        .in_process
        .then(|| start_worker(&app.config, &app.store, &app.counts, list, ended))
        .transpose()?;
    let sweeper = tokio::spawn(sweep(app.clone()));

    let drain = app.config.worker.drain;
    let bounds = Bounds { connections: CONNECTIONS, headers: HEADERS, stall: STALL, drain };
    http::serve(listener, app.config.tls.clone(), router(app.clone()), bounds, on_show.until(shutdown)).await;
    // The worker outlives the last request, so that events of the last check-ins still go out.
    end.send_replace(true);
    if let Some(worker) = worker
        && let Err(error) = worker.await
    {
        tracing::error!(%error, "The worker broke off; its events go out at the next start");
    }
    sweeper.abort();
    drop(on_show);
    app.store.close().await;
    drop(app);
    if let Some(teller) = teller {
        teller.end().await;
    }
    Ok(())
}

/// Works the outbox off until `shutdown` completes.
///
/// # Errors
/// [`StartError`], one sentence that names cause and fix.
pub async fn run_worker(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let store = Store::open(&config.database).await?;
    let (end, ended) = watch::channel(false);
    let redis = config.redis.clone().map(Redis::start);
    let list = List::of(config.queue, config.redis.as_ref(), redis.as_ref());
    let counts = Arc::default();
    let on_show = OnShow::start(&config.board, &store, redis.as_ref(), &counts);
    let running = start_worker(&config, &store, &counts, list, ended)?;
    on_show.until(shutdown).await;
    end.send_replace(true);
    if let Err(error) = running.await {
        tracing::error!(%error, "The worker broke off; its events go out at the next start");
    }
    store.close().await;
    Ok(())
}

async fn build(config: Config, address: SocketAddr) -> Result<Node, StartError> {
    let working_day = WorkingDay::new(&config.time_zone, config.work_start.as_deref(), config.grace_minutes)
        .map_err(StartError::Setting)?;
    let store = Store::open(&config.database).await?;
    let redis = config.redis.clone().map(Redis::start);
    let list = List::of(config.queue, config.redis.as_ref(), redis.as_ref());
    let counts = Arc::default();
    let (bell, teller) = bell(&config, &store, &counts, list.as_ref())?;
    let store = store.ringing(bell);
    let passwords = Passwords::new().await.map_err(|error| StartError::Setting(error.to_string()))?;
    let app = Arc::new(State { config, store, counts, redis, working_day, passwords, address });
    Ok(Node { app, list, teller })
}

/// What commits ring.
fn bell(
    config: &Config,
    store: &Store,
    counts: &Arc<Counts>,
    list: Option<&List>,
) -> Result<(Bell, Option<Teller>), StartError> {
    let (list, teller) = list.map(|list| Teller::start(list.clone())).unzip();
    let at_once =
        (config.queue == Queue::Sync).then(|| worker(config, store, counts)).transpose()?.map(Arc::new);
    Ok((Bell { list, at_once, ..Bell::default() }, teller))
}

fn start_worker(
    config: &Config,
    store: &Store,
    counts: &Arc<Counts>,
    list: Option<List>,
    end: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, StartError> {
    let feed = list.zip(config.redis.as_ref()).map(|(list, redis)| match config.queue {
        Queue::Redis => Feed::of_rows(list, redis, store.clone()),
        Queue::Database | Queue::Sync => Feed::of_tokens(list, redis),
    });
    Ok(tokio::spawn(worker(config, store, counts)?.run(feed, end)))
}

fn worker(config: &Config, store: &Store, counts: &Arc<Counts>) -> Result<Worker, StartError> {
    Ok(Worker {
        store: store.clone(),
        publisher: config.publisher.clone(),
        config: config.worker.clone(),
        counts: Arc::clone(counts),
        wake: Arc::clone(&store.bell().wake),
        is_fed: config.queue == Queue::Redis,
        name: format!("node-{}:{}", config.node_id, secret::random()?),
    })
}

async fn sweep(app: App) {
    let mut ticks = interval(SWEEP);
    loop {
        ticks.tick().await;
        let (lag, store) = (app.session_lag(), &app.store);
        let swept =
            store.sweep_sessions(lag).await.and(store.sweep_answers().await).and(store.sweep_tries().await);
        if let Err(error) = swept {
            tracing::warn!(%error, "Ended sessions, old answers and tries to sign in could not be removed");
        }
    }
}

/// Anybody who can reach the API can sign in as the demo admin while its published password works.
async fn warn_about_demo_account(app: &App) {
    if app.address.ip().is_loopback() {
        return;
    }
    match demo_password_works(app).await {
        Ok(true) => tracing::warn!(
            address = %app.address,
            "The demo account {DEMO_EMAIL} still has its public password and this address is not only reachable from \
             this machine"
        ),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "Whether the demo account exists could not be found out"),
    }
}

async fn demo_password_works(app: &App) -> Result<bool, Error> {
    let Some((_, hash)) = app.store.user_by_email(DEMO_EMAIL).await? else { return Ok(false) };
    app.passwords.verify(DEMO_PASSWORD.to_owned(), Some(hash)).await
}
