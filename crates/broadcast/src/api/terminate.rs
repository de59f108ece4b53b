//! `POST /apps/{id}/users/{user}/terminate_connections`: closes every connection of a user on every node, with 4009, on
//! which pusher-js stays away, unless the app wants them back.

use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::authenticate::Signed;
use super::publish;

/// `{}`, also when the user has no connection. Those of this node are closed at once, with or without Redis.
pub(super) async fn post(request: &Signed<'_>, raw_user: &str) -> Result<Answer, Answer> {
    let app = &request.app;
    let user = percent_decode_str(raw_user).decode_utf8_lossy();
    app.users.terminate(&user, app.config.termination(), None);
    publish::tell_termination(app, &user, request.confirmation()).await?;
    Ok(answer::empty())
}
