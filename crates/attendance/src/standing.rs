//! For how long a browser session stands.
//!
//! The database says who is signed in, so a sign-out holds on all nodes at once, whatever Redis remembers. When a session
//! was used last changes with every request: Redis has that, where one is set, and the database follows at a distance. It
//! follows closely while Redis is away.

use std::time::Duration;

use crate::domain::{Stamp, User};
use crate::error::Error;
use crate::redis::Redis;
use crate::state::App;

/// How far the database may be behind while it is the only one to know.
const CLOSELY: Duration = Duration::from_secs(60);

/// Begins a session of somebody who has just signed in.
pub(crate) async fn begin(app: &App, hash: &str, user_id: i64) -> Result<(), Error> {
    app.store.create_session(hash, user_id, app.config.session_lifetime).await?;
    note_in_redis(app, hash);
    Ok(())
}

/// Whose session it is, unless it has ended. It counts as used.
pub(crate) async fn user(app: &App, hash: &str) -> Result<Option<User>, Error> {
    let Some((user, expires_at)) = app.store.session(hash, app.session_lag()).await? else { return Ok(None) };
    if expires_at <= Stamp::now() && !was_used_meanwhile(app, hash).await {
        return Ok(None);
    }
    let lifetime = app.config.session_lifetime;
    let behind = if note_in_redis(app, hash) { app.session_lag() } else { app.session_lag().min(CLOSELY) };
    if expires_at < Stamp::after(lifetime.saturating_sub(behind)) {
        app.store.note_session(hash, lifetime);
    }
    Ok(Some(user))
}

/// Whether a session was used after the end that the database knows. When nobody can tell it was: a Redis that is away or
/// has forgotten signs nobody out.
async fn was_used_meanwhile(app: &App, hash: &str) -> bool {
    let Some(redis) = &app.redis else { return false };
    match redis.link.call("GET", &key(redis, hash), Vec::new()).await {
        Ok(value) if value.is_null() => {
            redis.link.stands_for().is_none_or(|standing| standing < app.config.session_lifetime)
        }
        _ => true,
    }
}

/// Writes the use down beside the request; false when Redis is away.
fn note_in_redis(app: &App, hash: &str) -> bool {
    let Some(redis) = app.redis.clone().filter(|redis| redis.link.stands_for().is_some()) else {
        return false;
    };
    let (key, seconds) = (key(&redis, hash), app.config.session_lifetime.as_secs());
    tokio::spawn(async move {
        // A link that breaks over it is in the log, and the database follows closely from then on.
        let _ = redis.link.call("SET", &key, vec!["1".into(), "EX".into(), seconds.to_string().into()]).await;
    });
    true
}

fn key(redis: &Redis, hash: &str) -> String {
    redis.key("session", hash)
}
