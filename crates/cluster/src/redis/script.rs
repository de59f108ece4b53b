//! A Lua script, called by its digest; sent whole when Redis does not know it (any more).

use std::sync::OnceLock;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use sha1::{Digest, Sha1};

/// Where the first key stands among the arguments: it names the slot.
const FIRST_KEY: ClusterHash = ClusterHash::Offset(2);

/// A script and its digest.
pub(super) struct Script {
    lua: &'static str,
    digest: OnceLock<String>,
}

impl Script {
    pub(super) const fn new(lua: &'static str) -> Self {
        Self { lua, digest: OnceLock::new() }
    }

    /// Calls it. Commands of fred's own for scripts wait for the answer before the next command is sent; these do not.
    pub(super) async fn call(
        &self,
        client: &Client,
        keys: &[String],
        args: &[Value],
    ) -> Result<Value, Error> {
        let mut all: Vec<Value> = Vec::with_capacity(2 + keys.len() + args.len());
        all.push(self.digest().into());
        all.push(i64::try_from(keys.len()).unwrap_or_default().into());
        all.extend(keys.iter().map(|key| key.as_str().into()));
        all.extend_from_slice(args);
        let called = send(client, "EVALSHA", all.clone()).await;
        match called {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                all[0] = self.lua.into();
                send(client, "EVAL", all).await
            }
            answered => answered,
        }
    }

    fn digest(&self) -> &str {
        self.digest.get_or_init(|| Sha1::digest(self.lua).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

async fn send(client: &Client, command: &'static str, args: Vec<Value>) -> Result<Value, Error> {
    client.custom(CustomCommand::new_static(command, FIRST_KEY, false), args).await
}
