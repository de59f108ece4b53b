//! Settings that are known but stand for something Gema cannot do yet.
//!
//! Switching one of them on is refused: a setting that silently does nothing costs its user an evening.

use super::declare::Roles;
use super::registry::Process;
use super::value::Queue;

/// What the process-wide settings ask for in vain, as sentences for this role.
pub(crate) fn in_process(process: &Process, role: Roles) -> Vec<String> {
    let publishes = Roles::ATTENDANCE.or(Roles::WORKER).or(Roles::SERVE);
    let table = [(
        process.queue_connection == Queue::Redis && role.meets(publishes),
        "QUEUE_CONNECTION is redis, but the Redis queue comes with a later version: set it to database",
    )];
    table.into_iter().filter(|(asked, _)| *asked).map(|(_, sentence)| sentence.to_owned()).collect()
}
