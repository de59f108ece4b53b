//! One request until it is taken or given up.

use std::time::Duration;

use gema_protocol::webhook::retry::Retry;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::post::{Post, Request};

/// Tries until the endpoint takes the request; why it was not taken the last time, if it is given up. `failed` hears of
/// each failure. With the schedule comes how long it has been tried before, by another node.
pub(super) async fn deliver<P: Post>(
    post: &P,
    request: &Request,
    (retry, age): (&Retry, Duration),
    ending: &CancellationToken,
    failed: impl Fn(&str),
) -> Result<(), String> {
    let first = Instant::now();
    let (mut failures, mut hurried) = (0, ending.is_cancelled());
    loop {
        let Err(why) = post.post(request).await else { return Ok(()) };
        failed(&why);
        let Some(pause) = retry.pause(age.saturating_add(first.elapsed()), failures, random()) else {
            return Err(why);
        };
        failures = failures.saturating_add(1);
        tokio::select! {
            () = sleep(pause) => {}
            // At the end there is no time for long pauses: they begin anew, once.
            () = ending.cancelled(), if !hurried => (failures, hurried) = (0, true),
        }
    }
}

/// Jitter needs no good random number, and none at all if there is none.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

/// A pause that is cut short by the end.
pub(super) async fn pause(length: Duration, ending: &CancellationToken) {
    tokio::select! {
        () = sleep(length) => {}
        () = ending.cancelled() => {}
    }
}
