//! `POST /api/users` (admin): a new account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Caller;
use crate::domain::{Invalid, Role, User};
use crate::error::Error;
use crate::input::Input;
use crate::state::App;
use crate::store::NewUser;

/// Shortest password, as Laravel's default rule.
const PASSWORD_LEAST: usize = 8;

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    input: Input,
) -> Result<(StatusCode, Json<User>), Error> {
    caller.require_admin()?;
    let mut fields = input.fields();
    let (name, email) = (fields.name("name"), fields.email("email"));
    let password = fields.password("password", PASSWORD_LEAST);
    let role = fields.choice("role", Role::parse).unwrap_or(Role::Employee);
    fields.finish().map_err(Error::Invalid)?;
    let password_hash = app.passwords.hash(password).await?;
    let new = NewUser { name, email, password_hash, role };
    match app.store.create_user(&new).await? {
        Some(user) => Ok((StatusCode::CREATED, Json(user))),
        None => Err(Error::Invalid(Invalid::one("email", "The email has already been taken."))),
    }
}
