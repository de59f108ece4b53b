//! Password hashing: argon2id off the async threads, and never so many at once that memory runs out.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error::Error;

/// Characters of the shortest password, as Laravel's default rule.
pub(crate) const PASSWORD_LEAST: usize = 8;

/// A sign-in that had to wait this long is told to come back: the queue stays as short as people's patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    /// Verified in place of an unknown account's hash, so that both take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Computes the decoy, so this takes as long as one hash.
    pub(crate) async fn new() -> Result<Self, Error> {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let permits = Arc::new(Semaphore::new(at_once(cores)));
        let decoy =
            spawn_blocking(|| compute("nobody's password")).await.map_err(|error| interrupted(&error))??;
        Ok(Self { permits, decoy: decoy.into() })
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        self.heavy(move || compute(&password)).await?
    }

    /// Whether `password` belongs to `hash`. `None` (unknown account) costs the same and is false.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Error> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.to_string());
        let matches = self.heavy(move || matches(&password, &hash)).await?;
        Ok(known && matches)
    }

    async fn heavy<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Busy)?;
        // The permit moves along: a request that is given up must not let another hash start beside its own.
        let run = move || {
            let _permit = permit;
            work()
        };
        spawn_blocking(run).await.map_err(|error| interrupted(&error))
    }
}

/// Each hash takes 19 MiB and a core for some 20 ms. A rush of sign-ins leaves half of the cores to everything else.
fn at_once(cores: usize) -> usize {
    (cores / 2).max(1)
}

/// One hash, on the calling thread. For `migrate`, which has no server around it.
pub(crate) fn compute(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(format!("password hashing failed: {error}")))
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn interrupted(error: &tokio::task::JoinError) -> Error {
    Error::Internal(format!("password hashing was interrupted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cores_hash_at_most() {
        assert_eq!([1, 2, 3, 8].map(at_once), [1, 1, 1, 4]);
    }

    #[tokio::test]
    async fn verifies_only_the_right_password_of_a_known_account() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash("secret-1".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.verify("secret-1".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("secret-2".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("nobody's password".into(), None).await.unwrap());
        assert!(!passwords.verify("x".into(), Some("not a hash".into())).await.unwrap());
    }
}
