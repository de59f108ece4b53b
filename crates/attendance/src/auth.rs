//! Who is calling: by bearer token or by session cookie. And the check of e-mail and password at sign-in.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use utoipa::ToSchema;

use crate::domain::{Invalid, User};
use crate::error::Error;
use crate::input::Input;
use crate::proxies::Client;
use crate::session::SessionId;
use crate::state::App;
use crate::throttle::Try;
use crate::{DEMO_EMAIL, DEMO_PASSWORD, secret, standing};

/// What somebody signs in with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
pub(crate) struct Credentials {
    #[schema(format = Email, max_length = 255)]
    email: String,
    #[schema(format = Password, min_length = 1, max_length = 255)]
    password: String,
}

/// The signed-in caller. As an argument of a handler it makes the route answer 401 to everybody else.
#[derive(Debug)]
pub(crate) struct Caller {
    pub user: User,
    pub via: Via,
}

/// How somebody is signed in; holds the key of the database row that ends it.
#[derive(Debug)]
pub(crate) enum Via {
    Token { hash: String },
    Session { hash: String },
}

impl Caller {
    /// # Errors
    /// 403 for everybody who is not an admin.
    pub(crate) fn require_admin(&self) -> Result<(), Error> {
        if self.user.is_admin() { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// The only person whose records the caller may see; `None` for admins, who may see all.
    pub(crate) fn sees_only(&self) -> Option<i64> {
        (!self.user.is_admin()).then_some(self.user.id)
    }

    /// Finds the caller. A token that is present decides alone, even if it is wrong: a request that skipped the CSRF
    /// check because of it must not fall back to the cookie.
    pub(crate) async fn find(app: &App, headers: &HeaderMap) -> Result<Self, Error> {
        if let Some(token) = bearer(headers) {
            let hash = secret::sha256_hex(token);
            let user = app.store.user_by_token(&hash).await?.ok_or(Error::Unauthenticated)?;
            return Ok(Self { user, via: Via::Token { hash } });
        }
        let hash = SessionId::from_headers(headers).ok_or(Error::Unauthenticated)?.hash();
        let user = standing::user(app, &hash).await?;
        Ok(Self { user: user.ok_or(Error::Unauthenticated)?, via: Via::Session { hash } })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        Self::find(app, &parts.headers).await
    }
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Checks `email` and `password` of a sign-in. Unknown accounts and wrong passwords look and last the same.
pub(crate) async fn check_credentials(app: &App, client: Client, input: &Input) -> Result<User, Error> {
    let mut fields = input.fields();
    let (email, password) = (fields.email("email"), fields.password("password", 1));
    fields.finish().map_err(Error::Invalid)?;
    let mut this_try = Try::new(&email, client.address);
    this_try.begin(app).await?;
    let (user, hash) = app.store.user_by_email(&email).await?.unzip();
    let is_demo = email == DEMO_EMAIL && password == DEMO_PASSWORD;
    let matches = app.passwords.verify(password, hash).await?;
    let Some(user) = user.filter(|_| matches) else {
        return Err(Error::Invalid(Invalid::one("email", "These credentials do not match our records.")));
    };
    this_try.forgive(app).await?;
    if is_demo && !app.address.ip().is_loopback() {
        tracing::warn!(client = %client.address, "Sign-in with the public demo password; change it or remove the account");
    }
    Ok(user)
}
