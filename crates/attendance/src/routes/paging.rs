//! Keyset paging of lists: newest first, `?before=<id>&limit=<n>`, answered as `{"data": […], "next": id|null}`.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// Entries of a page when the caller does not say.
const DEFAULT: i64 = 50;
/// Entries of a page at most.
const MOST: i64 = 200;

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
pub(crate) struct Paging {
    /// Only entries with a lower id: `next` of the page before.
    before: Option<i64>,
    /// Entries of the page: 50 unless told, 200 at most.
    limit: Option<i64>,
}

/// How many entries to show.
pub(crate) fn limit(asked: Option<i64>) -> i64 {
    asked.unwrap_or(DEFAULT).clamp(1, MOST)
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    data: Vec<T>,
    /// `before` of the next page; null on the last one.
    next: Option<i64>,
}

impl<T> Page<T> {
    /// From up to `limit + 1` entries: the one too many only tells that there is a next page.
    pub(crate) fn new(mut data: Vec<T>, limit: i64, id: fn(&T) -> i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = data.len() > limit;
        data.truncate(limit);
        let next = if more { data.last().map(id) } else { None };
        Self { data, next }
    }
}
