//! People who can sign in, and what they may do.

use serde::Serialize;
use utoipa::ToSchema;

use super::Stamp;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Sees and manages everything.
    Admin,
    /// Sees only their own records.
    Employee,
}

impl Role {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Self::Admin),
            "employee" => Some(Self::Employee),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Employee => "employee",
        }
    }
}

/// An account, without its password hash: that never leaves the store but for verification.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct User {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub created_at: Stamp,
    pub updated_at: Stamp,
}

impl User {
    pub(crate) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}
