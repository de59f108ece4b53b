//! Open files: each connection takes one, and the usual soft limit of 1,024 is a server's most common ceiling.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process needs beside its connections: database, logs, listeners, requests in flight.
const RESERVE: u64 = 100;

/// Raises the soft limit to the hard one and says what it allows.
pub(crate) fn raise() -> String {
    let before = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum });
    let limit = if raised.is_ok() { before.maximum } else { before.current };
    describe(limit)
}

fn describe(limit: Option<u64>) -> String {
    match limit {
        None => "open files: no limit".to_owned(),
        Some(limit) => {
            let connections = limit.saturating_sub(RESERVE);
            format!(
                "open files: {limit}, enough for about {connections} connections (raise it with `ulimit -Hn`)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_the_limit_and_what_it_allows() {
        assert!(describe(Some(1_024)).contains("1024, enough for about 924"));
        assert!(describe(Some(10)).contains("about 0 "));
        assert_eq!(describe(None), "open files: no limit");
    }
}
