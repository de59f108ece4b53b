//! What Echo asks before it subscribes to a channel that is not public, and before it signs in.

mod auth;
mod user_auth;

use axum::http::HeaderMap;
use gema_protocol::socket_id::SocketId;

pub(crate) use auth::*;
pub(crate) use user_auth::*;

use crate::auth::Caller;
use crate::domain::User;
use crate::error::Error;
use crate::input::Input;
use crate::state::App;

/// Who asks, and for which connection; 403 for strangers and for what is no socket id. It is signed: with a colon in it,
/// it could pass for the signature of something else.
async fn asker<'a>(app: &App, headers: &HeaderMap, input: &'a Input) -> Result<(User, &'a str), Error> {
    let user = match Caller::find(app, headers).await {
        Ok(caller) => caller.user,
        Err(Error::Unauthenticated) => return Err(Error::Forbidden),
        Err(error) => return Err(error),
    };
    let socket_id = input.get("socket_id").unwrap_or_default();
    if socket_id.parse::<SocketId>().is_err() {
        return Err(Error::Forbidden);
    }
    Ok((user, socket_id))
}
