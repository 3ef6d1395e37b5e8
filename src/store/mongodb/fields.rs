//! The BSON form of ids, times and enums, and decoding of documents.
//! Does not know which fields a document has.

use jiff::Timestamp;
use mongodb::bson::{Bson, DateTime, RawDocument, Uuid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::decoder::from_document;
use super::failure::corrupt;
use crate::model::{Access, AuditId, ChatId, MemberRole, MessageId, NodeId, Policy, UserId};
use crate::store::StoreError;
use crate::store::times::millisecond;

/// An id as the UUID that a document has, and back.
macro_rules! id_field {
    ($name:ident) => {
        impl From<$name> for Bson {
            fn from(id: $name) -> Self {
                Uuid::from_bytes(*id.as_bytes()).into()
            }
        }
        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                Uuid::from_bytes(*id.as_bytes())
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self::from_bytes(id.bytes())
            }
        }
    };
}

id_field!(UserId);
id_field!(ChatId);
id_field!(MessageId);
id_field!(AuditId);
id_field!(NodeId);

/// [`Policy`] as a document has it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PolicyField {
    Closed,
    Open,
}

impl From<Policy> for PolicyField {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Closed => Self::Closed,
            Policy::Open => Self::Open,
        }
    }
}

impl From<PolicyField> for Policy {
    fn from(policy: PolicyField) -> Self {
        match policy {
            PolicyField::Closed => Self::Closed,
            PolicyField::Open => Self::Open,
        }
    }
}

/// [`MemberRole`] as a document has it; without the field it is the default one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleField {
    Reader,
    Member,
    Moderator,
    Owner,
}

impl RoleField {
    /// The field of a member of this role, if it needs one.
    pub(super) fn of(role: MemberRole) -> Option<Self> {
        match role {
            MemberRole::Reader => Some(Self::Reader),
            MemberRole::Member => None,
            MemberRole::Moderator => Some(Self::Moderator),
            MemberRole::Owner => Some(Self::Owner),
        }
    }
}

impl From<RoleField> for MemberRole {
    fn from(role: RoleField) -> Self {
        match role {
            RoleField::Reader => Self::Reader,
            RoleField::Member => Self::Member,
            RoleField::Moderator => Self::Moderator,
            RoleField::Owner => Self::Owner,
        }
    }
}

impl From<RoleField> for Bson {
    fn from(role: RoleField) -> Self {
        MemberRole::from(role).name().into()
    }
}

/// [`Access`] as a document has it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AccessField {
    Unasked,
    Asked,
    Granted,
}

impl From<AccessField> for Access {
    fn from(access: AccessField) -> Self {
        match access {
            AccessField::Unasked => Self::Unasked,
            AccessField::Asked => Self::Asked,
            AccessField::Granted => Self::Granted,
        }
    }
}

impl From<Access> for AccessField {
    fn from(access: Access) -> Self {
        match access {
            Access::Unasked => Self::Unasked,
            Access::Asked => Self::Asked,
            Access::Granted => Self::Granted,
        }
    }
}

impl From<Access> for Bson {
    fn from(access: Access) -> Self {
        let text = match access {
            Access::Unasked => "unasked",
            Access::Asked => "asked",
            Access::Granted => "granted",
        };
        text.into()
    }
}

/// A document that can be decoded into a model type.
pub(super) trait Readable: DeserializeOwned + Send {
    /// Its collection.
    const COLLECTION: &'static str;
    /// The model type.
    type Model: Send;

    /// Converts it; `Corrupt` if a value is invalid.
    fn model(self) -> Result<Self::Model, StoreError>;
}

/// Decodes a document; `Corrupt`, with its collection and its id, if that fails.
pub(super) fn decode<D: Readable>(document: &RawDocument) -> Result<D::Model, StoreError> {
    let decoded = from_document::<D>(document);
    let decoded = decoded.map_err(|error| error.to_string()).and_then(|read| {
        read.model().map_err(|error| match error {
            StoreError::Corrupt(why) => why,
            error => error.to_string(),
        })
    });
    decoded.map_err(|why| {
        let id = document.get("_id").ok().flatten();
        let id = id.and_then(|id| Bson::try_from(id).ok());
        let id = id.map_or_else(|| "without an _id".into(), |id| name(&id));
        corrupt(format!("the document {id} in {}: {why}", D::COLLECTION))
    })
}

/// Decodes a document of which not the model is needed, but the fields.
pub(super) fn parse<D: DeserializeOwned>(document: &RawDocument) -> Result<D, StoreError> {
    from_document(document).map_err(|error| corrupt(error.to_string()))
}

/// An `_id` for people.
fn name(id: &Bson) -> String {
    match id {
        Bson::Binary(binary) => match binary.to_uuid() {
            Ok(uuid) => uuid.to_string(),
            Err(_) => id.to_string(),
        },
        id => id.to_string(),
    }
}

/// A time as a document has it: whole milliseconds.
pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(millisecond(at))
}

/// The time that a document gives.
pub(super) fn time(date: DateTime) -> Result<Timestamp, StoreError> {
    let millisecond = date.timestamp_millis();
    Timestamp::from_millisecond(millisecond)
        .map_err(|error| corrupt(format!("no time: {millisecond} ms ({error})")))
}
