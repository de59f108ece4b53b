//! `gema health URL`: asks a server whether it is well. For supervisors of containers that hold nothing but `gema`.

use std::error::Error;
use std::time::Duration;

use crate::failure::{Ended, Failure};
use crate::start;

/// Who is well answers at once.
const PATIENCE: Duration = Duration::from_secs(4);

/// Succeeds if the URL answers 200. It reads no settings, so that it can be asked on any machine.
pub(crate) fn run(url: &str) -> Ended {
    start::tls();
    start::runtime()?.block_on(ask(url))
}

async fn ask(url: &str) -> Ended {
    let broken = |error: reqwest::Error| Failure::from(format!("{url} cannot be asked: {}", cause(&error)));
    // A certificate names the public address, and this is asked at another.
    let client =
        reqwest::Client::builder().timeout(PATIENCE).tls_danger_accept_invalid_certs(true).no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().map_err(broken)?;
    let status = client.get(url).send().await.map_err(broken)?.status();
    if status == reqwest::StatusCode::OK {
        return Ok(());
    }
    Err(format!("{url} answers {}: the log of that server says why", status.as_u16()).into())
}

/// The innermost error; the others say only that something failed.
fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}
