//! A Lua script, called by its digest; sent whole when Redis does not know it (any more).

use std::sync::OnceLock;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use fred::util::redis_keyslot;
use sha1::{Digest, Sha1};

static HEAL: Script = Script::new(include_str!("heal.lua"));

/// A script and its digest.
pub struct Script {
    lua: &'static str,
    digest: OnceLock<String>,
    types: &'static [&'static str],
}

/// What came of a call.
pub(super) struct Called {
    pub(super) answer: Value,
    /// Keys that somebody else had made something of, and that were deleted for it.
    pub(super) healed: Vec<String>,
}

impl Script {
    /// From its text.
    #[must_use]
    pub const fn new(lua: &'static str) -> Self {
        Self::over(&[], lua)
    }

    /// As [`Script::new`], with what its keys are, as `TYPE` says it, the last for all that follow: a key that is
    /// something else is deleted, and the script called again.
    pub(super) const fn over(types: &'static [&'static str], lua: &'static str) -> Self {
        Self { lua, digest: OnceLock::new(), types }
    }

    /// Calls it. Commands of fred's own for scripts wait for the answer before the next command is sent; these do not.
    pub(super) async fn call(
        &self,
        client: &Client,
        keys: &[String],
        args: &[Value],
    ) -> Result<Called, Error> {
        match self.evaluate(client, keys, args).await {
            Err(error) if error.details().contains("WRONGTYPE") && !self.types.is_empty() => {
                let types = self.types.iter().chain(self.types.last().into_iter().cycle());
                let types: Vec<Value> = types.take(keys.len()).map(|kind| (*kind).into()).collect();
                let healed = HEAL.evaluate(client, keys, &types).await?.convert()?;
                Ok(Called { answer: self.evaluate(client, keys, args).await?, healed })
            }
            answered => {
                Ok(Called { answer: answered.map_err(|error| self.named(error))?, healed: Vec::new() })
            }
        }
    }

    /// Redis says the line of the command that the user may not run, not the command.
    fn named(&self, error: Error) -> Error {
        let refused = error.details().contains("The user executing the script can't");
        let line = error.details().split_once("user_script:").filter(|_| refused);
        let number =
            line.and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        let command =
            number.and_then(|number: usize| command_in(self.lua.lines().nth(number.checked_sub(1)?)?));
        match command {
            Some(command) => Error::new(
                error.kind().clone(),
                format!("NOPERM '{command}' in a script: {}", error.details()),
            ),
            None => error,
        }
    }

    async fn evaluate(&self, client: &Client, keys: &[String], args: &[Value]) -> Result<Value, Error> {
        let mut all: Vec<Value> = Vec::with_capacity(2 + keys.len() + args.len());
        all.push(self.digest().into());
        all.push(i64::try_from(keys.len()).unwrap_or_default().into());
        all.extend(keys.iter().map(|key| key.as_str().into()));
        all.extend_from_slice(args);
        // Given, not looked for: fred takes any other way of a custom command for "the first argument".
        let slot = keys.first().map_or(0, |key| redis_keyslot(key.as_bytes()));
        let called = send(client, "EVALSHA", slot, all.clone()).await;
        match called {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                all[0] = self.lua.into();
                send(client, "EVAL", slot, all).await
            }
            answered => answered,
        }
    }

    fn digest(&self) -> &str {
        self.digest.get_or_init(|| Sha1::digest(self.lua).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn command_in(line: &str) -> Option<String> {
    let (_, call) = line.split_once("call('")?;
    Some(call.split_once('\'')?.0.to_lowercase())
}

async fn send(client: &Client, command: &'static str, slot: u16, args: Vec<Value>) -> Result<Value, Error> {
    client.custom(CustomCommand::new_static(command, ClusterHash::Custom(slot), false), args).await
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_that_a_user_may_not_run_is_found_by_its_line() {
        let script = Script::new("local a = 1\nredis.call('XADD', KEYS[1])\nredis.pcall('HGET')");
        let refused = |line| {
            let text = format!(
                "ERR The user executing the script can't run this command script: 0e9, on @user_script:{line}."
            );
            script.named(Error::new(ErrorKind::Unknown, text)).details().to_owned()
        };
        assert!(refused(2).starts_with("NOPERM 'xadd' in a script"), "{}", refused(2));
        assert!(refused(3).starts_with("NOPERM 'hget' in a script"), "{}", refused(3));
        for other in [refused(1), refused(9)] {
            assert!(other.starts_with("ERR The user"), "{other}");
        }
    }
}
