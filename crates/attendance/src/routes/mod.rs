//! One folder per resource, one file per handler. Which address leads where is in `router.rs`.

pub(crate) mod attendances;
pub(crate) mod broadcasting;
pub(crate) mod id;
pub(crate) mod paging;
pub(crate) mod query;
pub(crate) mod sessions;
pub(crate) mod system;
pub(crate) mod tokens;
pub(crate) mod users;
