//! `PATCH /api/users/{id}` (admin): changes an account.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::domain::{Role, User};
use crate::error::Error;
use crate::input::Input;
use crate::openapi::{Errors, Message};
use crate::password::PASSWORD_LEAST;
use crate::routes::id::Id;
use crate::state::App;
use crate::store::UserChange;

/// What shall be different: at least one of these.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct AccountChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[schema(format = Email, max_length = 255)]
    email: Option<String>,
    #[schema(format = Password, min_length = 8, max_length = 255)]
    password: Option<String>,
    role: Option<Role>,
}

/// Changes an account (admin).
///
/// A new password ends all sessions and tokens of the account. Nobody takes the admin role from themselves, so the last
/// admin stays one.
#[utoipa::path(
    patch,
    path = "/api/users/{id}",
    tag = "Users",
    operation_id = "update_user",
    params(("id" = i64, Path)),
    request_body = AccountChange,
    responses(
        (status = 200, body = User),
        (status = 404, description = "There is none", body = Message),
        (status = 409, description = "It would take the admin role from the caller", body = Message),
        (status = 422, body = Errors),
    ),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    input: Input,
) -> Result<Json<User>, Error> {
    caller.require_admin()?;
    let mut fields = input.fields();
    fields.only(&["name", "email", "password", "role"], &[]);
    let name = fields.has("name").then(|| fields.name("name"));
    let email = fields.has("email").then(|| fields.email("email"));
    let password = fields.has("password").then(|| fields.password("password", PASSWORD_LEAST));
    let role = if fields.has("role") { fields.choice("role", Role::parse) } else { None };
    fields.finish().map_err(Error::Invalid)?;
    if id == caller.user.id && role == Some(Role::Employee) {
        return Err(Error::Conflict("You cannot take the admin role from yourself."));
    }
    let password_hash = match password {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let change = UserChange { name, email, password_hash, role };
    app.store.update_user(id, &change, caller.user.id).await?.map(Json).map_err(Error::from)
}
