//! Empties what is outgoing: entries of many channels at once, of one channel one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use crate::outgoing::{Answer, Append};

/// Entries on their way at once.
const AT_ONCE: usize = 64;
/// How often what is too old is given up, and what failed is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often losses are logged at most.
const REPORT: Duration = Duration::from_secs(1);

/// Goes on for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut report = Report { said: 0, at: Instant::now() };
    loop {
        // A wake-up may come early or be missed by one that is under way: the pause bounds what that costs.
        let _ = timeout(PAUSE, shared.to_tell.notified()).await;
        give_up(&shared);
        report.say(shared.losses.told.load(Ordering::Relaxed));
        while shared.is_linked() {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let Some(append) = shared.outgoing.lock().next_append() else { break };
            let shared = shared.clone();
            tokio::spawn(async move {
                tell(&shared, &append).await;
                drop(slot);
                shared.to_tell.notify_one();
            });
        }
    }
}

/// Counts what nobody will hear any more.
fn give_up(shared: &Shared) {
    let lost = shared.outgoing.lock().expire(shared.now());
    if lost > 0 {
        shared.losses.told.fetch_add(lost as u64, Ordering::Relaxed);
    }
    shared.waiting.lock().retain(|_, waiting| {
        waiting.retain(|publisher| !publisher.is_closed());
        !waiting.is_empty()
    });
}

/// What the log says of losses: every event once, whether it became too old or there was no room for it.
struct Report {
    said: u64,
    at: Instant,
}

impl Report {
    fn say(&mut self, lost: u64) {
        if lost > self.said && self.at.elapsed() >= REPORT {
            let events = lost - self.said;
            tracing::warn!(events, "lost: Redis was away for too long, other nodes did not get them");
            *self = Self { said: lost, at: Instant::now() };
        }
    }
}

async fn tell(shared: &Shared, append: &Append) {
    let last = append.entry.events.iter().rfind(|one| one.event.keep);
    let text = last.and_then(|one| str::from_utf8(&one.event.text).ok());
    let keep = text.map(|text| (text, shared.listener.cache_ttl()));
    match shared.engine.append(append, keep).await {
        Ok(answer) => {
            if let Answer::Appended(_) = answer {
                shared.flow.told.fetch_add(append.entry.events.len() as u64, Ordering::Relaxed);
            }
            let told = shared.outgoing.lock().answered(&append.channel, answer);
            for publisher in
                told.and_then(|number| shared.waiting.lock().remove(&number)).into_iter().flatten()
            {
                // It may have stopped waiting.
                let _ = publisher.send(());
            }
        }
        Err(error) => {
            tracing::debug!(%error, channel = %append.channel, "an entry was not confirmed; it is told again");
            sleep(PAUSE).await;
            shared.outgoing.lock().failed(&append.channel);
        }
    }
}
