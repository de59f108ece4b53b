//! `POST /apps/{id}/users/{user}/terminate_connections`: closes every connection of a user with 4009, on which pusher-js
//! stays away.

use gema_protocol::close::CloseCode;
use gema_protocol::frame;
use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::authenticate::Signed;

/// `{}`, also when the user has no connection.
pub(super) fn post(request: &Signed<'_>, raw_user: &str) -> Answer {
    let goodbye = frame::close(CloseCode::TerminatedByApp);
    let user = percent_decode_str(raw_user).decode_utf8_lossy();
    for connection in request.app.users.connections_of(&user, request.app.config.terminate_by_presence) {
        connection.close(&goodbye);
    }
    answer::empty()
}
