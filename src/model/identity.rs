//! The caller: first from the token, then with the user of the service.
//! Does not know how a token is made or checked.

use jiff::Timestamp;

use super::{ConnectionId, Profile, UserId};

/// The caller according to a token, before the user is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id in the host application.
    pub external_id: String,
    /// The role: a person, or the host application.
    pub role: Role,
    /// The profile claims of the token.
    pub profile: Profile,
    /// When the token was issued, if it has `iat`.
    pub issued_at: Option<Timestamp>,
    /// When the token expires, which closes the connection.
    pub expires_at: Option<Timestamp>,
}

/// The issue of a token, by which it may be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// The user of the token.
    pub user: UserId,
    /// When it was issued, if it has `iat`.
    pub at: Option<Timestamp>,
}

impl Issue {
    /// Whether the token is not valid once those that were issued before this time were revoked.
    pub fn is_revoked(self, before: Timestamp) -> bool {
        self.at.is_none_or(|at| at < before)
    }
}

/// The roles of a token (docs/AUTHENTICATION.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One person.
    User,
    /// The host application's own backend, which may act for any user.
    Service,
}

/// The caller, with the fields that the service decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The acting user of a request that names none.
    pub user: Option<UserId>,
    /// The right to act for other users.
    pub rights: Rights,
    /// The live connection that the request came on, if it came on one.
    pub connection: Option<ConnectionId>,
    /// The number of the request on that connection, if its session has to find it in the notices
    /// that it brings about.
    pub request: Option<RequestNumber>,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub connection: ConnectionId,
    /// The number of the request on it, if its session has to find it in the notice.
    pub request: Option<RequestNumber>,
}

impl From<ConnectionId> for Origin {
    fn from(connection: ConnectionId) -> Self {
        Self {
            connection,
            request: None,
        }
    }
}

/// Counts the requests of one connection of which the notices are to be found.
pub type RequestNumber = u64;

impl Identity {
    /// Where a notice of its request comes from.
    pub fn origin(&self) -> Option<Origin> {
        let request = self.request;
        self.connection.map(|connection| Origin {
            connection,
            request,
        })
    }
}

/// The right to act for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// A verified user: for itself only.
    Own,
    /// Open mode: for any user that a request names, with that user's rights; without a user,
    /// trusted like a service.
    Open,
    /// The host application's backend: for any user, and it sees everything.
    Service,
}
