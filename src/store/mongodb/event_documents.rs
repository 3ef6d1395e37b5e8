//! The documents of events, and their conversion from and to the model.
//! Does not query the database.

use std::sync::Arc;

use jiff::Timestamp;
use mongodb::bson::{DateTime, Uuid};
use serde::{Deserialize, Serialize};

use super::documents::{EVENTS, KeyDocument};
use super::fields::{Readable, date, time};
use crate::model::{Event, EventDetails, EventPk, IdempotencyKey, User, UserId};
use crate::store::StoreError;

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventDocument {
    #[serde(rename = "_id")]
    pub(super) pk: EventPk,
    pub(super) owner: Uuid,
    name: String,
    icons: Vec<String>,
    location: String,
    starts: i64,
    ends: i64,
    created_at: DateTime,
    pub(super) modified_at: DateTime,
    /// How many chats were ever opened about it. Incremented with each, so that opening one
    /// conflicts with a concurrent deletion of the event.
    opened: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<KeyDocument>,
}

impl EventDocument {
    pub(super) fn new(
        pk: EventPk,
        owner: UserId,
        details: EventDetails,
        key: Option<IdempotencyKey>,
        at: Timestamp,
    ) -> Self {
        Self {
            pk,
            owner: owner.into(),
            name: details.name,
            icons: details.icons,
            location: details.location,
            starts: details.starts,
            ends: details.ends,
            created_at: date(at),
            modified_at: date(at),
            opened: 0,
            key: key.map(KeyDocument::from),
        }
    }

    /// An event of another store.
    pub(super) fn imported(event: Event, key: Option<IdempotencyKey>) -> Self {
        Self {
            modified_at: date(event.modified_at),
            ..Self::new(
                event.pk,
                event.owner.id,
                event.details,
                key,
                event.created_at,
            )
        }
    }

    /// The event, once its owner is known.
    pub(super) fn with_owner(self, owner: Arc<User>) -> Result<Event, StoreError> {
        Ok(Event {
            pk: self.pk,
            owner,
            created_at: time(self.created_at)?,
            modified_at: time(self.modified_at)?,
            details: self.details(),
        })
    }

    /// The details of the event.
    pub(super) fn details(self) -> EventDetails {
        EventDetails {
            name: self.name,
            icons: self.icons,
            location: self.location,
            starts: self.starts,
            ends: self.ends,
        }
    }
}

impl Readable for EventDocument {
    const COLLECTION: &'static str = EVENTS;
    type Model = Self;

    fn model(self) -> Result<Self, StoreError> {
        Ok(self)
    }
}
