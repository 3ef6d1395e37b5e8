//! The chats between events' owners and guests: opening, applying, granting, and the initial data
//! of a user of the marketplace.
//! Does not check rights: `access` does.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::audit::Act;
use super::chats::{check_external_id, name_taken};
use super::messages;
use super::{InFlight, Service, access, store_error};
use crate::model::{
    Access, AuditAct, ChatChoice, ChatId, ChatRef, Draft, Error, ErrorKind, EventChat,
    EventChatSnapshot, EventPk, Fact, Identity, Marketplace, Message, NewEventChat, Reply, Sent,
    Updated, UserId,
};
use crate::store::StoreError;

/// The most chats, and the most own events, in the initial data.
const PAGE: usize = 1000;

/// The least messages of a chat in the initial data.
const LEAST: usize = 20;

/// The most messages of a chat in the initial data.
const MOST: usize = 200;

/// How many bytes of messages the initial data has at most, beside those of its last chat with any.
const BYTES: usize = 8 * 1024 * 1024;

/// How many chats' messages are read at a time.
const READING: usize = 4;

impl Service {
    pub(super) async fn open_event_chat(
        &self,
        identity: &Identity,
        named: Option<UserId>,
        event: EventPk,
        chosen: ChatChoice,
    ) -> Result<Reply, Error> {
        if chosen != ChatChoice::default() {
            access::host(identity)?;
        }
        check_external_id(chosen.external_id.as_deref())?;
        let guest = access::user(identity, named)?;
        let (changed, chat) = self.opened(identity, event, guest, chosen.clone()).await?;
        if !changed {
            self.is_chosen(chat.chat, &chosen).await?;
        }
        if changed {
            let fact = Fact::EventChatOpened(Arc::clone(&chat));
            self.publish(identity, fact).await;
        }
        Ok(Reply::EventChat(Updated { changed, chat }))
    }

    /// Whether a chat that was there already has the chosen number and name.
    async fn is_chosen(&self, chat: ChatId, chosen: &ChatChoice) -> Result<(), Error> {
        if *chosen == ChatChoice::default() {
            return Ok(());
        }
        let found = self.store.chat(chat).await.map_err(store_error)?;
        let found = found.ok_or_else(|| access::no_chat(chat))?;
        let has_pk = chosen.pk.is_none_or(|pk| pk == found.pk);
        if has_pk && (chosen.external_id.is_none() || chosen.external_id == found.external_id) {
            return Ok(());
        }
        let why = "the guest has a chat about this event, with another pk or externalChatId";
        Err(Error::new(ErrorKind::Conflict, why))
    }

    pub(super) async fn request_access(
        &self,
        identity: &Identity,
        named: Option<UserId>,
        event: EventPk,
        draft: Option<Draft>,
    ) -> Result<Reply, Error> {
        if let Some(draft) = &draft {
            messages::check(draft, self.limits)?;
        }
        let guest = access::user(identity, named)?;
        let opened = self.opened(identity, event, guest, ChatChoice::default());
        let (_, chat) = opened.await?;
        let act = Act::of_user(AuditAct::RequestAccess, chat.chat, guest).in_event(event);
        let changed = self.store.change_access(
            chat.chat,
            &[Access::Unasked],
            Access::Asked,
            self.clock.now(),
            self.audit(access::actor(identity, named)?, act),
        );
        let changed = changed.await.map_err(store_error)?;
        let updated = self.publish_access(identity, chat.chat, changed).await?;
        let Some(draft) = draft else {
            return Ok(Reply::EventChat(updated));
        };
        let room = ChatRef::Id(chat.chat);
        let sent = self
            .send_message(identity, Some(guest.into()), room, draft)
            .await?;
        let Reply::Sent(sent) = InFlight::Storing(sent).await? else {
            return Ok(Reply::EventChat(updated));
        };
        // The message has changed the state once more.
        let event_chat = sent.message().event_chat.clone();
        Ok(Reply::EventChat(Updated {
            changed: updated.changed || matches!(sent, Sent::Stored(_)),
            chat: event_chat.unwrap_or(updated.chat),
        }))
    }

    pub(super) async fn grant_access(
        &self,
        identity: &Identity,
        chat: ChatRef,
        access: Access,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        let found = self.store.event_chat(id).await.map_err(store_error)?;
        let found = found.ok_or_else(|| access::no_chat(&chat))?;
        access::may_grant(actor, &found)?;
        if found.state.access == Access::Unasked {
            return Err(access::not_requested());
        }
        let act = Act::of_user(AuditAct::GrantAccess, id, found.guest.id);
        let act = act.with([("granted", (access == Access::Granted).into())]);
        let decided = self.store.change_access(
            id,
            &[Access::Asked, Access::Granted],
            access,
            self.clock.now(),
            self.audit(actor, act),
        );
        let decided = decided.await.map_err(store_error)?;
        let updated = self.publish_access(identity, id, decided).await?;
        Ok(Reply::EventChat(updated))
    }

    pub(super) async fn enter_marketplace(&self, identity: &Identity) -> Result<Reply, Error> {
        let user = access::user(identity, None)?;
        let own = self.store.events_after(Some(user), 0, PAGE).await;
        let own = own.map_err(store_error)?;
        let chats = self.store.event_chats_of(user, PAGE).await;
        let chats = chats.map_err(store_error)?;
        let reading = chats.into_iter().map(|chat| self.latest(user, chat));
        let mut reading = stream::iter(reading).buffered(READING);
        let (mut chats, mut bytes) = (Vec::new(), 0);
        while let Some(mut chat) = reading.try_next().await? {
            // The chats after these are shown without messages: an answer has to fit into
            // memory, and a client can load their history.
            if bytes > BYTES {
                chat.messages.clear();
            }
            bytes += chat.messages.iter().map(Message::weight).sum::<usize>();
            chats.push(chat);
        }
        Ok(Reply::Marketplace(Marketplace { own, chats }))
    }

    /// The chat with the messages that are new to the user, and some more.
    async fn latest(&self, user: UserId, chat: EventChat) -> Result<EventChatSnapshot, Error> {
        let unread = chat.side_of(user).map_or(0, |side| chat.state.unread(side));
        let unread = usize::try_from(unread).unwrap_or(0);
        let latest = self.store.latest_in(&chat, unread.clamp(LEAST, MOST)).await;
        Ok(EventChatSnapshot {
            messages: latest.map_err(store_error)?,
            chat,
        })
    }

    /// The chat of this guest with the event's owner, and whether it is new.
    async fn opened(
        &self,
        identity: &Identity,
        event: EventPk,
        guest: UserId,
        chosen: ChatChoice,
    ) -> Result<(bool, Arc<EventChat>), Error> {
        let found = self.event(event).await?;
        access::may_write_to_owner(guest, &found)?;
        self.user(guest).await?;
        let at = self.clock.now();
        let id = ChatId::new(at);
        let act = Act::of_user(AuditAct::OpenEventChat, id, guest).in_event(event);
        let new = NewEventChat {
            id,
            pk: self.numbering.chat(chosen.pk)?,
            external_id: chosen.external_id,
            event,
            guest,
            at,
            audit: self.audit(access::actor(identity, Some(guest))?, act),
        };
        let (fresh, chat) = {
            let _opening = self.opening.read().await;
            let opened = self.opened_now(identity, new, found.owner.id).await;
            if matches!(opened, Err(StoreError::Unavailable(_))) {
                self.publish(identity, Fact::CreationUncertain(id)).await;
            }
            let opened = opened.map_err(|error| match error {
                StoreError::Duplicate => name_taken(),
                error => self.refused(identity, error),
            })?;
            opened.ok_or_else(|| super::events::no_event(event))?
        };
        if !fresh {
            // The request that is creating it publishes it first: the notices of this request must
            // not overtake the creation.
            drop(self.opening.write().await);
        }
        Ok((fresh, Arc::new(chat)))
    }

    /// Opens the chat in the store, and publishes it if it is new.
    ///
    /// # Errors
    /// Those of the store: it may be open all the same, and was not published.
    async fn opened_now(
        &self,
        identity: &Identity,
        new: NewEventChat,
        owner: UserId,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        let opened = {
            let _changing = self.user_cache.changing(&[new.guest, owner]);
            let limits = self.member_limits(identity);
            self.store.open_event_chat_within(new, limits).await?
        };
        if let Some((true, chat)) = &opened
            && let Some(made) = self.store.chat(chat.chat).await?
        {
            self.publish(identity, Fact::ChatCreated(made)).await;
        }
        Ok(opened)
    }

    /// Publishes a change of access, if there was one.
    async fn publish_access(
        &self,
        identity: &Identity,
        chat: ChatId,
        changed: Option<(bool, EventChat)>,
    ) -> Result<Updated, Error> {
        let (changed, chat) = changed.ok_or_else(|| access::no_chat(chat))?;
        let chat = Arc::new(chat);
        if changed {
            let fact = Fact::AccessChanged(Arc::clone(&chat));
            self.publish(identity, fact).await;
        }
        Ok(Updated { changed, chat })
    }
}

#[cfg(test)]
#[path = "marketplace_tests.rs"]
mod tests;
