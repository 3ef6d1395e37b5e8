//! Who is calling: first as a token says it, then as the service knows it.
//! It refuses to know how a token is made or checked.

use jiff::Timestamp;

use super::{ConnectionId, Profile, UserId};

/// Who a token says is calling, before the user was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id in the host application.
    pub external_id: String,
    /// Whether the token speaks for a person or for the host application.
    pub role: Role,
    /// What the token says about the user.
    pub profile: Profile,
    /// When the token ends, and the connection with it.
    pub expires_at: Option<Timestamp>,
}

/// What a token may speak for (PROTOCOL §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One person.
    User,
    /// The host application's own backend, which may act for any user.
    Service,
}

/// Who is calling, as every decision of the service sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// As whom the caller acts when a request names nobody.
    pub user: Option<UserId>,
    /// For whom else the caller may act.
    pub rights: Rights,
    /// The live connection that the request came on, if it came on one.
    pub connection: Option<ConnectionId>,
}

/// For whom a caller may act (PROTOCOL §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// A verified user: for itself only.
    Own,
    /// Open mode: for whomever a request names, with that user's rights; before it has said
    /// who it is, trusted like a service.
    Open,
    /// The host application's backend: for anybody, and it sees everything.
    Service,
}
