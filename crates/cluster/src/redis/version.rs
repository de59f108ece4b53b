//! Is a Redis new enough? Read from `HELLO`, which every user may send; `INFO` would need a right of its own.

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

use crate::engine::EngineError;

/// The oldest major version that knows sharded pub/sub.
const OLDEST: u64 = 7;

/// Asks any of the servers.
pub(super) async fn check_of(client: &Client) -> Result<(), EngineError> {
    let hello = CustomCommand::new_static("HELLO", ClusterHash::Random, false);
    check(client.custom(hello, Vec::<String>::new()).await)
}

/// Judges what a server says to `HELLO`.
pub(super) fn check(answer: Result<Value, Error>) -> Result<(), EngineError> {
    match answer {
        Ok(said) => match version(&said) {
            Some((_, major)) if major >= OLDEST => Ok(()),
            Some((text, _)) => Err(too_old(&format!("is version {text}"))),
            None => Err(EngineError::Answer("HELLO names no version")),
        },
        // Known since version 6.
        Err(error) if error.details().contains("unknown command") => Err(too_old("is older than version 6")),
        Err(error) => Err(super::link::down(error)),
    }
}

fn too_old(what: &str) -> EngineError {
    EngineError::Unfit(format!(
        "the Redis {what} and has no sharded pub/sub: use Redis {OLDEST} or newer, or any Valkey"
    ))
}

/// Name and value by turns: the version whole, and its first number.
fn version(said: &Value) -> Option<(String, u64)> {
    let Value::Array(said) = said else { return None };
    let (pairs, _) = said.as_chunks::<2>();
    let [_, version] = pairs.iter().find(|[name, _]| name.as_str().is_some_and(|name| name == "version"))?;
    let version = version.as_string()?;
    let major = version.split('.').next()?.parse().ok()?;
    Some((version, major))
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind;

    use super::*;

    fn hello(version: &str) -> Result<Value, Error> {
        Ok(Value::Array(["server", "redis", "version", version, "proto"].map(Value::from).to_vec()))
    }

    #[test]
    fn seven_and_newer_will_do() {
        for good in ["7.0.15", "7.2.4", "8.1.0", "10.0"] {
            assert_eq!(check(hello(good)), Ok(()));
        }
    }

    #[test]
    fn an_older_one_is_named_with_the_remedy() {
        let unknown = Err(Error::new(ErrorKind::Unknown, "ERR unknown command `HELLO`"));
        for (answer, what) in [(hello("6.2.14"), "version 6.2.14"), (unknown, "older than version 6")] {
            let Err(EngineError::Unfit(sentence)) = check(answer) else { panic!("{what} will not do") };
            assert!(sentence.contains(what) && sentence.contains("use Redis 7 or newer"), "{sentence}");
        }
        for odd in [Ok(Value::Null), hello("x")] {
            assert!(matches!(check(odd), Err(EngineError::Answer(_))));
        }
    }
}
