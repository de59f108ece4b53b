//! The fuzz targets' properties: those of `crates/protocol/tests/properties` and `crates/cluster/tests/properties`, which
//! `make test` runs with inputs that proptest makes up. `make fuzz` runs them here with inputs that libFuzzer finds, one program per function.

#[path = "../../../crates/protocol/tests/properties/checks/mod.rs"]
mod checks;
#[path = "../../../crates/cluster/tests/properties/checks/mod.rs"]
mod cluster_checks;

/// A text message of a client.
pub fn message(bytes: &[u8]) {
    checks::message::check(bytes);
}

/// The size of pieces, and the bytes of a client's WebSocket frames.
pub fn frames(bytes: &[u8]) {
    checks::frames::check(bytes);
}

/// A limit and the name of a channel.
pub fn channel_name(bytes: &[u8]) {
    checks::channel_name::check(bytes);
}

/// A choice, and what is signed: six texts with 0xFF between them.
pub fn signature(bytes: &[u8]) {
    checks::signature::check(bytes);
}

/// A query string.
pub fn query(bytes: &[u8]) {
    checks::query::check(bytes);
}

/// A profile and the body of a request that publishes.
pub fn publish(bytes: &[u8]) {
    checks::publish::check(bytes);
}

/// The `channel_data` or `user_data` of a client.
pub fn identity(bytes: &[u8]) {
    checks::identity::check(bytes);
}

/// A choice, and a message or several that a server reads out of Redis.
pub fn cluster(bytes: &[u8]) {
    cluster_checks::check(bytes);
}
