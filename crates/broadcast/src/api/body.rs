//! The body of a request: read within its limit, or passed over when the request is refused.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::header;
use hyper::http::request::Parts;
use tokio::time::timeout;

use super::answer::{self, Answer};

/// A publisher that takes longer to send a body gives up its connection.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes that are read and dropped for the sake of an answer.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
/// How long a refusal waits for the next part of a body. Who does not send has no answer to lose.
const DISCARD_PAUSE: Duration = Duration::from_secs(2);

/// The whole body; 413 above the limit, with the size it has or announces.
pub(super) async fn read(body: &mut Incoming, limit: usize) -> Result<Bytes, Answer> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|size| size > limit as u64) {
        return Err(answer::payload_too_large(announced, limit));
    }
    timeout(BODY_TIME, collect(body, limit)).await.map_err(|_| answer::request_timeout())?
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, Answer> {
    let mut chunks = Vec::new();
    let mut size = 0;
    while let Some(chunk) = next(body).await.transpose()? {
        size += chunk.len();
        if size > limit + DISCARD_BYTES {
            return Err(answer::payload_too_large(None, limit));
        }
        // What is too large is only counted, so that the answer can say how large it is.
        if size > limit {
            chunks.clear();
        } else {
            chunks.push(chunk);
        }
    }
    if size > limit { Err(answer::payload_too_large(Some(size as u64), limit)) } else { Ok(joined(chunks)) }
}

async fn next(body: &mut Incoming) -> Option<Result<Bytes, Answer>> {
    let ended = |_| answer::text(StatusCode::BAD_REQUEST, "The request body ended early.");
    // Trailers carry nothing we know.
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(ended))
}

fn joined(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() < 2 {
        return chunks.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    whole.freeze()
}

/// Passes over what is left of a body, within bounds. A socket closed over unread bytes is reset, and the reset may reach
/// the publisher before the answer does.
pub(super) async fn discard(head: &Parts, body: &mut Incoming) {
    // Who waits for `100 Continue` sends nothing until asked, and must not be asked.
    if body.is_end_stream() || head.headers.contains_key(header::EXPECT) {
        return;
    }
    let pass_over = async {
        let mut left = DISCARD_BYTES;
        while let Ok(Some(Ok(chunk))) = timeout(DISCARD_PAUSE, next(body)).await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    // The answer goes out whether or not all of it came.
    let _ = timeout(BODY_TIME, pass_over).await;
}
