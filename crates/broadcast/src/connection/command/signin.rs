//! `pusher:signin`: the client proves which user it is.

use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::signature::verify_user;
use gema_protocol::signin::{UserData, signin_success};

use crate::connection::session::Session;

/// Confirms with the user data as it was signed. A second sign-in as the same user is confirmed again, as another it is
/// refused.
pub(in crate::connection) fn run(
    session: &mut Session,
    auth: &str,
    user_data: &str,
) -> Result<(), ErrorEvent> {
    let config = &session.app().config;
    if !config.user_authentication {
        return Err(ErrorEvent::invalid_message());
    }
    let socket_id = session.outbound().id().to_string();
    verify_user(&config.credentials, &socket_id, user_data, auth).map_err(|_| ErrorEvent::unauthorized())?;
    let user =
        UserData::parse(user_data, &config.limits).map_err(|error| ErrorEvent::invalid_member(&error))?;
    match &session.user {
        Some(known) if known.user_id.as_str() != user.id => return Err(ErrorEvent::signed_in_already()),
        Some(_) => session.outbound().send(&signin_success(user_data)),
        None => first(session, &user, user_data),
    }
    Ok(())
}

fn first(session: &mut Session, user: &UserData<'_>, user_data: &str) {
    let (app, outbound) = (session.app().clone(), session.outbound().clone());
    session.user = Some(Box::new(user.to_member()));
    session.probation.pass();
    // Known before it is confirmed: whoever has read the confirmation can be found and disconnected.
    app.users.sign_in(&user.id, &outbound);
    outbound.send(&signin_success(user_data));
    if app.config.watchlists {
        watch(session, user);
    }
}

/// Watches as many users as the limit allows; the client is told if it wanted more.
fn watch(session: &mut Session, user: &UserData<'_>) {
    let limit = session.app().config.limits.watchlist;
    let mut ids: Vec<&str> = Vec::new();
    for id in &user.watchlist {
        if ids.contains(&id.as_ref()) {
            continue;
        }
        if ids.len() == limit {
            session.outbound().send(&frame::error(&ErrorEvent::watchlist_cut(&ids), None));
            break;
        }
        ids.push(id);
    }
    session.app().users.watch(ids.iter().copied(), session.outbound());
    session.watchlist = ids.into_iter().map(Into::into).collect();
}
