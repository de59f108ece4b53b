//! Settings that are known but stand for something Gema cannot do yet.
//!
//! Switching one of them on is refused: a setting that silently does nothing costs its user an evening.

use super::declare::Roles;
use super::registry::{App, Process};
use super::value::{ClientEventSenders, Database, Queue};

/// What the process-wide settings ask for in vain, as sentences for this role.
pub(crate) fn in_process(process: &Process, role: Roles) -> Vec<String> {
    let publishes = Roles::ATTENDANCE.or(Roles::WORKER).or(Roles::SERVE);
    let table = [
        (
            process.scaling_enabled && role.meets(Roles::BROADCAST.or(Roles::SERVE)),
            "REVERB_SCALING_ENABLED is true, but sharing channels between servers through Redis comes with a later \
             version: set it to false and run one broadcast server",
        ),
        (
            process.queue_connection == Queue::Redis && role.meets(publishes),
            "QUEUE_CONNECTION is redis, but the Redis queue comes with a later version: set it to database",
        ),
        (
            process.db_connection == Database::MySql && role.meets(publishes.or(Roles::MIGRATE)),
            "DB_CONNECTION names MySQL or MariaDB, but these come with a later version: set it to sqlite",
        ),
    ];
    table.into_iter().filter(|(asked, _)| *asked).map(|(_, sentence)| sentence.to_owned()).collect()
}

/// What an app's settings ask for in vain; `path` is `app` or `apps[0]`.
pub(crate) fn in_app(app: &App, path: &str, role: Roles) -> Vec<String> {
    let serves = role.meets(Roles::BROADCAST.or(Roles::SERVE));
    let mut sentences = Vec::new();
    if serves && app.rate_limiting_enabled {
        sentences.push(format!(
            "{path}.rate_limiting.enabled (REVERB_APP_RATE_LIMITING_ENABLED) is true, but limiting the messages of a \
             client comes with a later version: set it to false"
        ));
    }
    if serves && app.accept_client_events_from == ClientEventSenders::All {
        sentences.push(format!(
            "{path}.accept_client_events_from (REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM) is all, but only members of a \
             channel can be heard so far: set it to members or none"
        ));
    }
    sentences
}
