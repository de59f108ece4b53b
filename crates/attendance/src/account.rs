//! Accounts that an operator makes, beside those that admins make over REST.

use gema_protocol::app::Secret;

use crate::database::Database;
use crate::domain::{Fields, Role};
use crate::error::StartError;
use crate::password::{self, PASSWORD_LEAST};
use crate::store::{NewUser, Store};

/// What an operator says of a new account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The address to sign in with; its case does not matter.
    pub email: String,
    /// How people call them. `None`: what stands before the `@`.
    pub name: Option<String>,
    /// At least eight characters.
    pub password: Secret,
    /// Whether they see and manage everything.
    pub is_admin: bool,
}

/// Brings the database up to date and makes an account in it: the address as it is stored comes back.
///
/// # Errors
/// [`StartError`], one sentence that names cause and fix; also when the address is taken.
pub async fn add_account(database: &Database, account: NewAccount) -> Result<String, StartError> {
    let new = checked(&account)?;
    let store = Store::open(database).await?;
    let made = store.create_user(&new).await;
    store.close().await;
    match made? {
        Some(user) => Ok(user.email),
        None => Err(StartError::Setting(format!(
            "there is an account {} already: nothing was changed",
            new.email
        ))),
    }
}

/// The same rules as over REST.
fn checked(account: &NewAccount) -> Result<NewUser, StartError> {
    let usual = || account.email.split('@').next().unwrap_or_default().to_owned();
    let name = account.name.clone().unwrap_or_else(usual);
    let given = [("email", account.email.as_str()), ("name", &name), ("password", account.password.expose())];
    let input = given.into_iter().map(|(field, text)| (field.to_owned(), text.into())).collect();
    let mut fields = Fields::new(&input);
    let (email, name) = (fields.email("email"), fields.name("name"));
    let password = fields.password("password", PASSWORD_LEAST);
    fields.finish().map_err(|invalid| StartError::Setting(invalid.message()))?;
    let password_hash =
        password::compute(&password).map_err(|error| StartError::Setting(error.to_string()))?;
    let role = if account.is_admin { Role::Admin } else { Role::Employee };
    Ok(NewUser { name, email, password_hash, role })
}
