//! Chats with their members: list, get, change, delete.
//! Does not check rights: `access` does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::access;
use super::audit::Act;
use super::chats::check_name;
use super::{Service, store_error};
use crate::model::{
    AuditAct, Chat, ChatChange, ChatCursor, ChatId, ChatPage, ChatRef, Error, Fact, History,
    Identity, NewChat, Policy, Range, Reply, Room, RoomPage, UserId, VisibleCursor, VisiblePage,
    Window,
};
use crate::store::Store;

/// How many chats a list of rooms holds at most.
const PAGE: usize = 1000;

/// The length of the history in the notice of a changed chat: that of `retrieve`.
pub(super) const NOTICE_HISTORY: usize = 1000;

impl Service {
    pub(super) async fn create_room(
        &self,
        identity: &Identity,
        name: Option<String>,
        team: Option<i64>,
    ) -> Result<Reply, Error> {
        check_name(name.as_deref())?;
        let owner = access::user(identity, None)?;
        let at = self.clock.now();
        let new = NewChat {
            id: ChatId::new(at),
            pk: self.numbering.chat(None)?,
            external_id: None,
            name,
            policy: Policy::Open,
            owner: Some(owner),
            team,
            members: Vec::new(),
            key: None,
            at,
            audit: Vec::new(),
        };
        let created = self
            .store
            .create_chat_within(new, self.member_limits(identity));
        let chat = created
            .await
            .map_err(|error| self.refused(identity, error))?;
        self.room(chat, 0).await.map(Reply::Room)
    }

    pub(super) async fn list_my_rooms(
        &self,
        identity: &Identity,
        limit: Option<usize>,
        before: Option<ChatCursor>,
    ) -> Result<Reply, Error> {
        let user = access::user(identity, None)?;
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        let page = self.store.chats_of(user, before, limit).await;
        let ChatPage { chats, next } = page.map_err(store_error)?;
        let rooms = self.rooms(chats).await?;
        Ok(Reply::MyRooms(RoomPage { rooms, next }))
    }

    pub(super) async fn list_rooms(
        &self,
        identity: &Identity,
        limit: Option<usize>,
        before: Option<VisibleCursor>,
    ) -> Result<Reply, Error> {
        let user = access::user(identity, None)?;
        let (now, limit) = (self.clock.now(), limit.unwrap_or(PAGE).min(PAGE));
        let page = self.store.visible_chats(user, now, before, limit).await;
        let VisiblePage { chats, next } = page.map_err(store_error)?;
        let rooms = self.rooms(chats).await?;
        Ok(Reply::Rooms(RoomPage { rooms, next }))
    }

    /// Chats with their members, without messages. All members are read at once, each once.
    async fn rooms(&self, chats: Vec<Chat>) -> Result<Vec<Room>, Error> {
        let mut seen = HashSet::new();
        let members = chats.iter().flat_map(|chat| &chat.members).copied();
        let members: Vec<_> = members.filter(|id| seen.insert(*id)).collect();
        let found = self.store.users(&members).await.map_err(store_error)?;
        let found: HashMap<UserId, _> = found.into_iter().map(|user| (user.id, user)).collect();
        let rooms = chats.into_iter().map(|chat| {
            let known = chat.members.iter().filter_map(|id| found.get(id));
            Room {
                members: known.map(Arc::clone).collect(),
                messages: Vec::new(),
                chat,
            }
        });
        Ok(rooms.collect())
    }

    pub(super) async fn get_room(
        &self,
        identity: &Identity,
        chat: ChatRef,
        messages: usize,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let read = async |id| {
            let found = self.store.chat(id).await.map_err(store_error)?;
            let found = found.ok_or_else(|| access::no_chat(&chat))?;
            self.room(found, messages).await
        };
        self.judged(actor, &chat, read).await.map(Reply::Room)
    }

    /// A chat with its members and its latest messages.
    pub(super) async fn room(&self, chat: Chat, messages: usize) -> Result<Room, Error> {
        room(&*self.store, chat, messages).await
    }

    pub(super) async fn change_chat(
        &self,
        identity: &Identity,
        chat: ChatRef,
        change: ChatChange,
    ) -> Result<Reply, Error> {
        check_name(change.name.as_deref())?;
        if change.policy.is_some() {
            access::host(identity)?;
        }
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        // So the notice, which has the latest messages, does not overtake that of a removal.
        let _in_order = self.memberships.in_order(id).await;
        let members = self.visible(actor, &chat).await?;
        access::may_change(actor, &members, self.clock.now())?;
        let act = Act::of_chat(AuditAct::ChangeChat, id).with(detail_of(&change));
        let audit = self.audit(actor, act);
        let policy = change.policy;
        let changed = self.store.change_chat(id, change, self.clock.now(), audit);
        let changed = if policy.is_some() {
            access::may_have_policy(&members)?;
            self.changing_members(identity, id, &[], changed).await?
        } else {
            changed.await.map_err(store_error)?
        };
        let changed = changed.ok_or_else(|| access::no_chat(&chat))?;
        if policy.is_some() {
            // Ends the subscriptions of users for whom the chat does not exist any more, before the notice.
            let fact = Fact::MembersConfirmed(changed.clone());
            self.publish(identity, fact).await;
        }
        let room = self.room(changed, NOTICE_HISTORY).await?;
        let fact = Fact::ChatChanged(Arc::new(room.clone()));
        self.publish(identity, fact).await;
        Ok(Reply::Room(room))
    }

    pub(super) async fn delete_chat(
        &self,
        identity: &Identity,
        chat: ChatRef,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        let _in_order = self.memberships.in_order(id).await;
        let members = self.visible(actor, &chat).await?;
        access::may_delete(actor, &members, self.clock.now())?;
        let found = self.store.chat(id).await.map_err(store_error)?;
        let Chat {
            pk,
            members,
            name,
            head,
            ..
        } = found.ok_or_else(|| access::no_chat(&chat))?;
        let act = Act::of_chat(AuditAct::DeleteChat, id).with([("name", name.into())]);
        let audit = self.audit(actor, act);
        let deleted = self.store.delete_chat(id, audit);
        let deleted = self.changing_members(identity, id, &members, deleted).await;
        self.heads.unknown(id);
        if deleted.is_err() {
            let fact = Fact::DeletionUncertain { chat: id, pk };
            self.publish(identity, fact).await;
        }
        self.numbers.invalidate(&pk).await;
        self.sweeper.deleted();
        let deleted = deleted?;
        if deleted {
            let fact = Fact::ChatDeleted { chat: id, pk };
            self.publish(identity, fact).await;
        }
        Ok(Reply::Deleted {
            chat: id,
            messages: head,
        })
    }
}

/// A chat with its members and its latest messages.
pub(super) async fn room(store: &dyn Store, chat: Chat, messages: usize) -> Result<Room, Error> {
    let members = store.users(&chat.members).await.map_err(store_error)?;
    let messages = match messages {
        0 => Vec::new(),
        limit => {
            let history = History {
                range: Range::default(),
                window: Window::Last(limit),
            };
            let page = store.messages(chat.id, history).await;
            page.map_err(store_error)?.messages
        }
    };
    Ok(Room {
        chat,
        members,
        messages,
    })
}

/// The fields that a change gives.
fn detail_of(change: &ChatChange) -> Vec<(&'static str, Value)> {
    let name = change.name.as_deref().map(|name| ("name", name.into()));
    let team = change.team.map(|team| ("team", team.into()));
    let policy = change.policy.map(|policy| ("policy", policy.name().into()));
    name.into_iter().chain(team).chain(policy).collect()
}

#[cfg(test)]
#[path = "rooms_tests.rs"]
mod tests;
