//! Slows down guessing of passwords, on all nodes together: counts failed sign-ins of the last minute by account, by
//! client address, and by both.
//!
//! Redis counts where one is set, the database while there is none (`store/tries.rs`). Each counts for itself.

use std::net::IpAddr;
use std::time::Duration;

use gema_cluster::redis::Script;

use crate::error::Error;
use crate::redis::Redis;
use crate::secret;
use crate::state::App;

/// How long a failed try counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Failed tries within the window: of one account from one address, as Laravel has it; of one account from wherever; from
/// one address, which may be a whole office.
pub(crate) const LIMITS: [usize; 3] = [5, 50, 100];

static BEGIN: Script = Script::new(include_str!("throttle/begin.lua"));
static FORGIVE: Script = Script::new(include_str!("throttle/forgive.lua"));

/// A try to sign in: as whom, and from where. Neither account nor address can be read from it.
#[derive(Debug)]
pub(crate) struct Try {
    pub account: String,
    pub network: String,
    /// Who counted it.
    in_redis: bool,
}

impl Try {
    pub(crate) fn new(email: &str, client: IpAddr) -> Self {
        Self {
            account: secret::sha256_hex(email),
            network: secret::sha256_hex(&network(client)),
            in_redis: false,
        }
    }

    /// Counts it as failed, *before* the password is checked, so that parallel tries count, too.
    ///
    /// # Errors
    /// 429 when there were too many: then it is not counted.
    pub(crate) async fn begin(&mut self, app: &App) -> Result<(), Error> {
        let counted = match &app.redis {
            Some(redis) => self.begin_in(redis).await,
            None => None,
        };
        self.in_redis = counted.is_some();
        let wait = match counted {
            Some(wait) => wait,
            None => app.store.begin_try(self).await?,
        };
        if wait.is_zero() {
            return Ok(());
        }
        Err(Error::TooManyAttempts {
            retry_after_s: wait.as_millis().div_ceil(1_000).try_into().unwrap_or(1),
        })
    }

    /// Forgets what failed as this account from this address, after a sign-in that worked.
    pub(crate) async fn forgive(&self, app: &App) -> Result<(), Error> {
        match app.redis.as_ref().filter(|_| self.in_redis) {
            // A Redis that has gone meanwhile forgets by itself within the minute.
            Some(redis) => drop(redis.link.run(&FORGIVE, &self.keys(redis), &[]).await),
            None => app.store.forgive_tries(self).await?,
        }
        Ok(())
    }

    /// `None` when Redis does not answer.
    async fn begin_in(&self, redis: &Redis) -> Option<Duration> {
        let window = WINDOW.as_secs();
        let args = LIMITS.map(|limit| limit.to_string().into());
        let args = [&args[..], &[window.to_string().into()]].concat();
        let wait = redis.link.run(&BEGIN, &self.keys(redis), &args).await.ok()?;
        wait.as_u64().map(Duration::from_millis)
    }

    /// In the order of [`LIMITS`].
    fn keys(&self, redis: &Redis) -> [String; 3] {
        let Self { account, network, .. } = self;
        [format!("{account}:{network}"), format!("account:{account}"), format!("client:{network}")]
            .map(|id| redis.key("tries", &id))
    }
}

/// One household has as many IPv6 addresses as it likes, all of the same 64 bits.
fn network(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}::/64", address.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_household_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
