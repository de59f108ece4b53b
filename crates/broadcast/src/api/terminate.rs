//! `POST /apps/{id}/users/{user}/terminate_connections`: closes every connection of a user, with 4009, on which pusher-js
//! stays away, unless the app wants them back.

use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use crate::goodbye::Goodbye;

/// `{}`, also when the user has no connection.
pub(super) fn post(request: &Signed<'_>, raw_user: &str) -> Answer {
    let config = &request.app.config;
    let goodbye = Goodbye::of(config.terminate_with);
    let user = percent_decode_str(raw_user).decode_utf8_lossy();
    for connection in request.app.users.connections_of(&user, config.terminate_by_presence) {
        connection.close(&goodbye);
    }
    answer::empty()
}
