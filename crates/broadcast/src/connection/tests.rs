//! A fault in one connection, forced: what it held is given back, the operator hears of it, the neighbours do not.

/// A message that makes the connection fail.
pub(super) const FAULT: &str = "a fault, please";
