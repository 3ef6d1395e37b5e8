//! Events of the host application.
//! Does not know the chats of an event: `marketplace` does.

use super::audit::Act;
use super::users::no_user;
use super::{Service, access, other_content, store_error};
use crate::model::{
    AuditAct, Error, Event, EventChange, EventDetails, EventPage, EventPk, Fact, IdempotencyKey,
    Identity, NewEvent, Reply, UserId, UserRef,
};
use crate::store::StoreError;

/// The maximum and default length of a page of events.
const PAGE: usize = 1000;

/// The longest name and the longest location, in bytes.
const TEXT_BYTES: usize = 1024;

/// The most icons of one event.
const ICONS: usize = 20;

/// The longest id of an icon, in bytes.
const ICON_BYTES: usize = 256;

impl Service {
    pub(super) async fn create_event(
        &self,
        identity: &Identity,
        pk: Option<EventPk>,
        owner: UserRef,
        details: EventDetails,
        key: Option<IdempotencyKey>,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        check(&details)?;
        let pk = self.numbering.event(pk)?;
        let key = key.map(|key| access::own_key(identity, key));
        if let Some(event) = self.announced_before(key.as_ref()).await? {
            return Ok(Reply::Event(event));
        }
        if let Some(pk) = pk.chosen()
            && self.store.event(pk).await.map_err(store_error)?.is_some()
        {
            return Err(store_error(StoreError::PkTaken));
        }
        let owner = self.owner(identity, owner).await?;
        let act = Act::new(AuditAct::CreateEvent).about(owner);
        let new = NewEvent {
            pk,
            owner,
            details,
            key: key.clone(),
            at: self.clock.now(),
            audit: self.audit(access::actor(identity, None)?, act),
        };
        match self.store.create_event(new).await {
            // Another request of this name was faster.
            Err(StoreError::Duplicate) if key.is_some() => {
                let made = self.announced_before(key.as_ref()).await?;
                made.map(Reply::Event).ok_or_else(other_content)
            }
            created => created.map(Reply::Event).map_err(store_error),
        }
    }

    /// The owner of a new event: created if it is named by an unknown external id.
    async fn owner(&self, identity: &Identity, owner: UserRef) -> Result<UserId, Error> {
        let invited = self.invited(identity, vec![owner.clone()]).await?;
        let created = self.created(identity, invited).await?;
        created.first().copied().ok_or_else(|| no_user(&owner))
    }

    pub(super) async fn get_event(
        &self,
        identity: &Identity,
        event: EventPk,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        self.event(event).await.map(Reply::Event)
    }

    pub(super) async fn change_event(
        &self,
        identity: &Identity,
        event: EventPk,
        change: EventChange,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        let before = self.event(event).await?;
        let after = change.clone().apply(before.details.clone());
        check(&after)?;
        if after == before.details {
            return Ok(Reply::Event(before));
        }
        let act = changed(&change).about(before.owner.id).in_event(event);
        let audit = self.audit(access::actor(identity, None)?, act);
        let at = self.clock.now();
        let changed = self.store.change_event(event, change, at, audit).await;
        let changed = changed.map_err(store_error)?;
        changed.map(Reply::Event).ok_or_else(|| no_event(event))
    }

    pub(super) async fn delete_event(
        &self,
        identity: &Identity,
        event: EventPk,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        let act = Act::new(AuditAct::DeleteEvent).in_event(event);
        let audit = self.audit(access::actor(identity, None)?, act);
        // No chat is opened meanwhile, so these are all that the deletion takes along.
        let _none_opens = self.opening.write().await;
        let taken = self
            .store
            .chats_of_event(event)
            .await
            .map_err(store_error)?;
        let chats = {
            let _changing = self.memberships.changing().await;
            self.store.delete_event(event, audit).await
        };
        self.sweeper.deleted();
        let chats = match chats {
            Ok(chats) => chats,
            Err(error) => {
                // It may be deleted all the same.
                self.user_cache.chats_deleted();
                self.memberships.all_changed();
                for (chat, pk) in taken {
                    self.heads.unknown(chat);
                    let fact = Fact::DeletionUncertain { chat, pk };
                    self.publish(identity, fact).await;
                }
                return Err(store_error(error));
            }
        };
        if chats.as_ref().is_some_and(|chats| !chats.is_empty()) {
            self.user_cache.chats_deleted();
        }
        let chats = chats.ok_or_else(|| no_event(event))?;
        for (chat, pk) in chats {
            self.memberships.changed(chat).await;
            self.heads.unknown(chat);
            self.numbers.invalidate(&pk).await;
            self.publish(identity, Fact::ChatDeleted { chat, pk }).await;
        }
        Ok(Reply::EventDeleted(event))
    }

    pub(super) async fn list_events(
        &self,
        identity: &Identity,
        owner: Option<UserId>,
        after: EventPk,
        limit: Option<usize>,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        if let Some(owner) = owner {
            self.user(owner).await?;
        }
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        // One more than requested shows whether there is a next page.
        let events = self.store.events_after(owner, after, limit + 1).await;
        let mut events = events.map_err(store_error)?;
        let more = events.len() > limit;
        events.truncate(limit);
        let next = events.last().filter(|_| more).map(|event| event.pk);
        Ok(Reply::Events(EventPage { events, next }))
    }

    pub(super) async fn event(&self, event: EventPk) -> Result<Event, Error> {
        let found = self.store.event(event).await.map_err(store_error)?;
        found.ok_or_else(|| no_event(event))
    }

    /// The event that a request of this name has made.
    async fn announced_before(&self, key: Option<&IdempotencyKey>) -> Result<Option<Event>, Error> {
        let Some(key) = key else { return Ok(None) };
        let made = self.store.event_by_key(&key.name).await;
        match made.map_err(store_error)? {
            Some((_, content)) if content != key.content => Err(other_content()),
            made => Ok(made.map(|(event, _)| event)),
        }
    }
}

/// The act on an event whose details are given these fields.
fn changed(change: &EventChange) -> Act {
    let EventChange {
        name,
        icons,
        location,
        starts,
        ends,
    } = change;
    Act::new(AuditAct::ChangeEvent).changing([
        ("name", name.is_some()),
        ("iconsUUIDs", icons.is_some()),
        ("location", location.is_some()),
        ("dateFromS", starts.is_some()),
        ("dateToS", ends.is_some()),
    ])
}

/// The error of an event that does not exist.
pub(super) fn no_event(event: EventPk) -> Error {
    Error::not_found(format_args!("event {event}"))
}

/// Checks the details of an event.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(details: &EventDetails) -> Result<(), Error> {
    if details.name.trim().is_empty() {
        return Err(Error::invalid("name", "is empty"));
    }
    for (field, text) in [("name", &details.name), ("location", &details.location)] {
        if text.len() > TEXT_BYTES {
            return Err(Error::too_large(field, format_args!("{TEXT_BYTES} bytes")));
        }
    }
    if details.icons.len() > ICONS {
        return Err(Error::too_large(
            "iconsUUIDs",
            format_args!("{ICONS} of them"),
        ));
    }
    if details.icons.iter().any(|icon| icon.len() > ICON_BYTES) {
        let limit = format_args!("{ICON_BYTES} bytes each");
        return Err(Error::too_large("iconsUUIDs", limit));
    }
    for (field, second) in [("dateFromS", details.starts), ("dateToS", details.ends)] {
        if jiff::Timestamp::from_second(second).is_err() {
            return Err(Error::invalid(field, "lies beyond the year 9999"));
        }
    }
    Ok(())
}
