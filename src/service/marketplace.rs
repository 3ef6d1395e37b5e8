//! The chats between events' owners and those who write to them: opening, applying, granting,
//! and what a user of the marketplace begins with.
//! Does not judge: `access` does.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{InFlight, Service, access, store_error};
use crate::model::{
    Access, ChatId, ChatRef, Draft, Error, EventChat, EventPk, EventTalk, Fact, Identity,
    Marketplace, Message, NewEventChat, Reply, Sent, Touched, UserId,
};
use crate::store::PAGE_BYTES;

/// How many chats, and how many own events, a user begins with at most.
const PAGE: usize = 1000;

/// How many messages of a chat are shown at first if fewer are new (PROTOCOL §5).
const LEAST: usize = 20;

/// How many messages of a chat are shown at first at most (PROTOCOL §5).
const MOST: usize = 200;

/// How many chats' messages are read at a time.
const READING: usize = 4;

impl Service {
    pub(super) async fn open_event_chat(
        &self,
        identity: &Identity,
        named: Option<UserId>,
        event: EventPk,
    ) -> Result<Reply, Error> {
        let guest = access::user(identity, named)?;
        let (changed, chat) = self.opened(identity, event, guest).await?;
        if changed {
            let fact = Fact::EventChatOpened(Arc::clone(&chat));
            self.publish(identity, fact).await;
        }
        Ok(Reply::EventChat(Touched { changed, chat }))
    }

    pub(super) async fn request_access(
        &self,
        identity: &Identity,
        named: Option<UserId>,
        event: EventPk,
        draft: Option<Draft>,
    ) -> Result<Reply, Error> {
        if let Some(draft) = &draft {
            self.check(draft)?;
        }
        let guest = access::user(identity, named)?;
        let (_, chat) = self.opened(identity, event, guest).await?;
        let asked = self.store.change_access(
            chat.chat,
            &[Access::Unasked],
            Access::Asked,
            self.clock.now(),
        );
        let asked = asked.await.map_err(store_error)?;
        let touched = self.told_of_access(identity, chat.chat, asked).await?;
        let Some(draft) = draft else {
            return Ok(Reply::EventChat(touched));
        };
        let room = ChatRef::Id(chat.chat);
        let sent = self
            .send_message(identity, Some(guest), room, draft)
            .await?;
        let Reply::Sent(sent) = InFlight::Storing(sent).await? else {
            return Ok(Reply::EventChat(touched));
        };
        // What was said has changed how things stand once more.
        let said = sent.message().event_chat.clone();
        Ok(Reply::EventChat(Touched {
            changed: touched.changed || matches!(sent, Sent::Stored(_)),
            chat: said.unwrap_or(touched.chat),
        }))
    }

    pub(super) async fn grant_access(
        &self,
        identity: &Identity,
        chat: ChatRef,
        access: Access,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, chat).await?.chat();
        let found = self.store.event_chat(id).await.map_err(store_error)?;
        let found = found.ok_or_else(|| access::no_chat(chat))?;
        access::may_grant(actor, &found)?;
        if found.standing.access == Access::Unasked {
            return Err(access::not_asked());
        }
        let decided = self.store.change_access(
            id,
            &[Access::Asked, Access::Granted],
            access,
            self.clock.now(),
        );
        let decided = decided.await.map_err(store_error)?;
        let touched = self.told_of_access(identity, id, decided).await?;
        Ok(Reply::EventChat(touched))
    }

    pub(super) async fn enter_marketplace(&self, identity: &Identity) -> Result<Reply, Error> {
        let user = access::user(identity, None)?;
        let own = self.store.events_after(Some(user), 0, PAGE).await;
        let own = own.map_err(store_error)?;
        let chats = self.store.event_chats_of(user, PAGE).await;
        let chats = chats.map_err(store_error)?;
        let reading = chats.into_iter().map(|chat| self.latest(user, chat));
        let mut reading = stream::iter(reading).buffered(READING);
        let (mut talks, mut bytes) = (Vec::new(), 0);
        while let Some(mut talk) = reading.try_next().await? {
            // The chats after these are shown without messages: an answer has to fit into
            // memory, and a client can load their history.
            if bytes > PAGE_BYTES {
                talk.messages.clear();
            }
            bytes += talk.messages.iter().map(Message::weight).sum::<usize>();
            talks.push(talk);
        }
        Ok(Reply::Marketplace(Marketplace { own, talks }))
    }

    /// The chat with the messages that are new to the user, and some more.
    async fn latest(&self, user: UserId, chat: EventChat) -> Result<EventTalk, Error> {
        let unread = chat
            .side_of(user)
            .map_or(0, |side| chat.standing.unread(side));
        let unread = usize::try_from(unread).unwrap_or(0);
        let latest = self.store.latest_in(&chat, unread.clamp(LEAST, MOST)).await;
        Ok(EventTalk {
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
    ) -> Result<(bool, Arc<EventChat>), Error> {
        let found = self.event(event).await?;
        access::may_write_to_owner(guest, &found)?;
        self.user(guest).await?;
        let room = self.may_join_more(identity, &[guest, found.owner.id]).await;
        if let Err(full) = room
            && !self.writes_about(event, guest).await?
        {
            return Err(full);
        }
        let at = self.clock.now();
        let new = NewEventChat {
            id: ChatId::new(at),
            event,
            guest,
            at,
        };
        let (fresh, chat) = {
            let _opening = self.opening.read().await;
            let opened = {
                let _changing = self.known.changing(&[guest, found.owner.id]);
                self.store.open_event_chat(new).await.map_err(store_error)?
            };
            let (fresh, chat) = opened.ok_or_else(|| super::events::no_event(event))?;
            if fresh && let Some(made) = self.store.chat(chat.chat).await.map_err(store_error)? {
                self.publish(identity, Fact::ChatCreated(made)).await;
            }
            (fresh, chat)
        };
        if !fresh {
            // Whoever is creating it right now publishes it first: what this request publishes of
            // the chat must not overtake the chat itself.
            drop(self.opening.write().await);
        }
        Ok((fresh, Arc::new(chat)))
    }

    /// Whether this guest has a chat with the event's owner already.
    async fn writes_about(&self, event: EventPk, guest: UserId) -> Result<bool, Error> {
        /// More than anybody has: no number is so large that a store could not take it.
        const ALL: usize = 1_000_000;
        let chats = self.store.event_chats_of(guest, ALL).await;
        let chats = chats.map_err(store_error)?;
        Ok(chats
            .iter()
            .any(|chat| chat.event.pk == event && chat.guest.id == guest))
    }

    /// What became of a change of access, once both sides were told.
    async fn told_of_access(
        &self,
        identity: &Identity,
        chat: ChatId,
        changed: Option<(bool, EventChat)>,
    ) -> Result<Touched, Error> {
        let (changed, chat) = changed.ok_or_else(|| access::no_chat(chat))?;
        let chat = Arc::new(chat);
        if changed {
            let fact = Fact::AccessChanged(Arc::clone(&chat));
            self.publish(identity, fact).await;
        }
        Ok(Touched { changed, chat })
    }
}

#[cfg(test)]
#[path = "marketplace_tests.rs"]
mod tests;
