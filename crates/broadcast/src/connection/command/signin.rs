//! `pusher:signin`: the client proves which user it is.

use gema_protocol::error::ErrorEvent;
use gema_protocol::frame;
use gema_protocol::signature::verify_user;
use gema_protocol::signin::{UserData, signin_success};

use crate::channel::Delivery;
use crate::connection::session::Session;

/// A sign-in that waits for the cluster before it is confirmed. The user is signed in already.
pub(in crate::connection) struct Unconfirmed {
    user_data: Box<str>,
    /// There were more users on the watchlist than one may watch.
    is_cut: bool,
}

/// Confirms with the user data as it was signed. A second sign-in as the same user is confirmed again, as another it is
/// refused. What comes back is to be waited for before [`confirm`].
pub(in crate::connection) fn run(
    session: &mut Session,
    auth: &str,
    user_data: &str,
) -> Result<Delivery, ErrorEvent> {
    let config = &session.app().config;
    if !config.user_authentication {
        return Err(ErrorEvent::invalid_message());
    }
    let socket_id = session.outbound().id().to_string();
    verify_user(&config.credentials, &socket_id, user_data, auth).map_err(|_| ErrorEvent::unauthorized())?;
    let user =
        UserData::parse(user_data, &config.limits).map_err(|error| ErrorEvent::invalid_member(&error))?;
    match &session.user {
        Some(known) if known.user_id.as_str() != user.id => Err(ErrorEvent::signed_in_already()),
        Some(_) => {
            session.outbound().send(&signin_success(user_data));
            Ok(Delivery::done())
        }
        None => Ok(first(session, &user, user_data)),
    }
}

fn first(session: &mut Session, user: &UserData<'_>, user_data: &str) -> Delivery {
    let (app, outbound) = (session.app().clone(), session.outbound().clone());
    session.user = Some(Box::new(user.to_member()));
    session.probation.pass();
    let is_cut = app.config.watchlists && !choose(session, user);
    // Known before it is confirmed: whoever has read the confirmation can be found and disconnected.
    app.users.sign_in(&user.id, &outbound);
    let unconfirmed = Unconfirmed { user_data: user_data.into(), is_cut };
    let heard = app.cluster.sign_in(&user.id, watched(session));
    for id in watched(session) {
        app.cluster.with_elsewhere(id, |elsewhere| app.users.expect(id, elsewhere));
    }
    let Some(heard) = heard else {
        confirm(session, &unconfirmed);
        return Delivery::done();
    };
    session.unconfirmed = Some(Box::new(unconfirmed));
    Delivery::after(heard)
}

/// The users on the client's watchlist.
fn watched(session: &Session) -> impl Iterator<Item = &str> {
    session.watchlist.iter().map(AsRef::as_ref)
}

/// Chooses as many users to watch as the limit allows; false if the client wanted more.
fn choose(session: &mut Session, user: &UserData<'_>) -> bool {
    let limit = session.app().config.limits.watchlist;
    for id in &user.watchlist {
        if session.watchlist.iter().any(|chosen| **chosen == **id) {
            continue;
        }
        if session.watchlist.len() == limit {
            return false;
        }
        session.watchlist.push(id.as_ref().into());
    }
    true
}

/// Confirms the sign-in, and tells the client who of its watchlist is online.
pub(in crate::connection) fn confirm(session: &Session, unconfirmed: &Unconfirmed) {
    let (app, outbound) = (session.app(), session.outbound());
    outbound.send(&signin_success(&unconfirmed.user_data));
    if unconfirmed.is_cut {
        outbound.send(&frame::error(&ErrorEvent::watchlist_cut(&watched(session).collect::<Vec<_>>()), None));
    }
    app.users.watch(watched(session), outbound);
}
