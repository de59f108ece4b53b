//! `POST /api/users` (admin): a new account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::domain::{Role, User};
use crate::error::Error;
use crate::input::Input;
use crate::openapi::Errors;
use crate::password::PASSWORD_LEAST;
use crate::state::App;
use crate::store::{NewUser, Unchanged};

/// What an account is made of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct NewAccount {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(format = Email, max_length = 255)]
    email: String,
    #[schema(format = Password, min_length = 8, max_length = 255)]
    password: String,
    role: Role,
}

/// An account that can sign in at once.
#[utoipa::path(
    post,
    path = "/api/users",
    tag = "Users",
    operation_id = "create_user",
    request_body = NewAccount,
    responses((status = 201, body = User), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
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
        None => Err(Unchanged::EmailTaken.into()),
    }
}
