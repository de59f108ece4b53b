//! Tells the others what is true of this node's clients: one telling per partition at a time, all partitions at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::Shared;
use crate::engine::EngineError;
use crate::name::Partition;
use crate::telling::{Telling, Told};
use crate::truth::Work;

/// Rest after something failed.
const REST: Duration = Duration::from_millis(100);
/// Longest time between two looks, in case a wake-up was missed.
const PAUSE: Duration = Duration::from_secs(1);

/// Goes on for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        while shared.may_claim() {
            let Some(work) = shared.truth.lock().next(shared.identity.current(), shared.now()) else { break };
            under_way.push(carry_out(shared.clone(), work));
        }
        tokio::select! {
            Some(()) = under_way.next() => {}
            () = shared.to_claim.notified() => {}
            () = sleep(next_look(&shared)) => {}
        }
    }
}

fn next_look(shared: &Shared) -> Duration {
    let due = shared.truth.lock().wake_at().filter(|_| shared.may_claim());
    due.map_or(PAUSE, |due| due.saturating_sub(shared.now()).min(PAUSE))
}

impl Shared {
    /// Without a lease nobody would ever take back what this node claims.
    fn may_claim(&self) -> bool {
        self.is_linked() && self.may_tell()
    }
}

async fn carry_out(shared: Arc<Shared>, work: Work) {
    match work {
        Work::List(partition, number) => list(&shared, partition, number).await,
        Work::Tell(telling) => tell(&shared, &telling).await,
    }
}

async fn list(shared: &Shared, partition: Partition, number: u64) {
    match shared.engine.channels_of(shared.identity.current(), partition).await {
        Ok(names) => shared.truth.lock().listed(partition, number, names, shared.now()),
        Err(error) => give_up(shared, partition, number, &error).await,
    }
}

async fn tell(shared: &Shared, telling: &Telling) {
    let (partition, number) = (Partition::of(&telling.channel), telling.number);
    match shared.engine.tell(telling).await {
        Ok(Told::Dead) => {
            shared.declared_dead(telling.node);
            try_again(shared, partition, number).await;
        }
        Ok(told) => {
            let settled = shared.truth.lock().answered(partition, number, told, shared.now());
            if let Some(settled) = settled {
                shared.others.settled(&settled);
            }
        }
        Err(error) => give_up(shared, partition, number, &error).await,
    }
}

async fn give_up(shared: &Shared, partition: Partition, number: u64, error: &EngineError) {
    tracing::debug!(%error, "what is true of this node's clients was not confirmed; it is told again");
    try_again(shared, partition, number).await;
}

async fn try_again(shared: &Shared, partition: Partition, number: u64) {
    sleep(REST).await;
    shared.truth.lock().failed(partition, number, shared.now());
}
