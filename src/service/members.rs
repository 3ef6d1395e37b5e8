//! Memberships: join, leave, add, remove, and read positions.
//! Does not check rights: `access` does.

use std::sync::Arc;

use super::access::{self, Actor, MemberList};
use super::audit::Act;
use super::{Service, store_error};
use crate::model::{
    AuditAct, Chat, ChatId, ChatRef, Error, Fact, Identity, Joined, MarkedRead, Membership, Reply,
    Seq, User, UserId,
};
use crate::store::StoreError;

/// A change of one membership.
struct Change<'a> {
    identity: &'a Identity,
    actor: Actor,
    /// As the request names it.
    requested: ChatRef,
    chat: ChatId,
    user: UserId,
}

impl Service {
    pub(super) async fn join_chat(
        &self,
        identity: &Identity,
        chat: ChatRef,
        read: Option<Seq>,
    ) -> Result<Reply, Error> {
        let (members, user) = self.taking_part(identity, chat).await?;
        if !members.has(user) {
            access::may_come_and_go(&members)?;
            self.has_room(&members, 1)?;
            if !members.is_creator(user) {
                self.may_join_more(identity, &[user]).await?;
            }
        }
        let change = Change {
            identity,
            actor: Actor::User(user),
            requested: chat,
            chat: members.chat(),
            user,
        };
        let read = self.existing(members.chat(), read).await?;
        let (fresh, chat, user) = self.add_and_publish(&change, read).await?;
        if members.is_of_event() && read.is_some() {
            self.publish_reads(identity, members.chat()).await?;
        }
        Ok(Reply::Joined(Joined { fresh, chat, user }))
    }

    /// This seq, if the chat has a message of it.
    async fn existing(&self, chat: ChatId, seq: Option<Seq>) -> Result<Option<Seq>, Error> {
        if seq.is_none() {
            return Ok(None);
        }
        let found = self.store.chat(chat).await.map_err(store_error)?;
        let head = found.map_or(0, |found| found.head);
        Ok(seq.filter(|seq| *seq <= head))
    }

    pub(super) async fn leave_chat(
        &self,
        identity: &Identity,
        chat: ChatRef,
    ) -> Result<Reply, Error> {
        let (members, user) = self.taking_part(identity, chat).await?;
        let change = Change {
            identity,
            actor: Actor::User(user),
            requested: chat,
            chat: members.chat(),
            user,
        };
        self.remove_and_publish(&change).await?;
        Ok(Reply::Left {
            chat: members.chat(),
            members: members.len().saturating_sub(1),
        })
    }

    pub(super) async fn add_members(
        &self,
        identity: &Identity,
        chat: ChatRef,
        users: Vec<UserId>,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let members = self.visible(actor, chat).await?;
        let at = self.clock.now();
        access::may_invite(actor, &members, at)?;
        for user in &users {
            access::may_add(actor, *user, &members, at)?;
        }
        let new = users.iter().copied().filter(|user| !members.has(*user));
        let new: Vec<UserId> = new.collect();
        self.has_room(&members, new.len())?;
        let unknown = self
            .store
            .unknown_users(&users)
            .await
            .map_err(store_error)?;
        if let Some(id) = unknown.first() {
            return Err(Error::not_found(format_args!("user {id}")));
        }
        let strangers = new.into_iter().filter(|user| !members.is_creator(*user));
        self.may_join_more(identity, &strangers.collect::<Vec<_>>())
            .await?;
        for user in users {
            let change = Change {
                identity,
                actor,
                requested: chat,
                chat: members.chat(),
                user,
            };
            self.add_and_publish(&change, None).await?;
        }
        self.current(chat, members.chat()).await
    }

    pub(super) async fn remove_member(
        &self,
        identity: &Identity,
        chat: ChatRef,
        user: UserId,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let members = self.visible(actor, chat).await?;
        access::may_remove(actor, user, &members, self.clock.now())?;
        if !members.has(user) {
            return Err(no_member(user));
        }
        let change = Change {
            identity,
            actor,
            requested: chat,
            chat: members.chat(),
            user,
        };
        self.remove_and_publish(&change).await?;
        self.current(chat, members.chat()).await
    }

    pub(super) async fn list_members(
        &self,
        identity: &Identity,
        chat: ChatRef,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let read = async |id| {
            let found = self.store.chat_rights(id).await.map_err(store_error)?;
            let found = found.ok_or_else(|| access::no_chat(chat))?;
            Ok(access::with_ranks(found))
        };
        self.judged(actor, chat, read).await.map(Reply::Members)
    }

    pub(super) async fn mark_read(
        &self,
        identity: &Identity,
        named: Option<UserId>,
        chat: ChatRef,
        seq: Seq,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, named)?;
        let user = access::user(identity, named)?;
        let members = self.visible(actor, chat).await?;
        access::may_read_on(actor, user, &members, self.clock.now())?;
        let id = members.chat();
        let moved = self.store.advance_read(id, user, seq).await;
        let moved = moved.map_err(store_error)?;
        let moved = moved.ok_or_else(|| access::no_chat(chat))?;
        let event_chat = match members.is_of_event() {
            true if moved => self.publish_reads(identity, id).await?,
            true => self
                .store
                .event_chat(id)
                .await
                .map_err(store_error)?
                .map(Arc::new),
            false => None,
        };
        if members.is_of_event() && event_chat.is_none() {
            // It was deleted meanwhile.
            return Err(access::no_chat(chat));
        }
        Ok(Reply::Read(MarkedRead {
            chat: id,
            moved,
            event_chat,
        }))
    }

    /// Publishes the read positions of an event's chat to both sides.
    async fn publish_reads(
        &self,
        identity: &Identity,
        chat: ChatId,
    ) -> Result<Option<Arc<crate::model::EventChat>>, Error> {
        let found = self.store.event_chat(chat).await.map_err(store_error)?;
        let found = found.map(Arc::new);
        if let Some(chat) = &found {
            self.publish(identity, Fact::ReadMoved(Arc::clone(chat)))
                .await;
        }
        Ok(found)
    }

    /// Adds the user, if it is no member yet, and publishes that. The right to it is judged again where
    /// no other change comes between.
    async fn add_and_publish(
        &self,
        change: &Change<'_>,
        read: Option<Seq>,
    ) -> Result<(bool, Chat, Arc<User>), Error> {
        let Change {
            identity,
            actor,
            requested,
            chat,
            user,
        } = *change;
        let _in_order = self.memberships.in_order(chat).await;
        let members = self.visible(actor, requested).await?;
        access::may_add(actor, user, &members, self.clock.now())?;
        let act = Act::of_user(AuditAct::AddMember, chat, user);
        let audit = self.audit(actor, act);
        let added = async {
            let (read, at) = (read.unwrap_or(0), self.clock.now());
            let limits = self.member_limits(identity);
            let added = self
                .store
                .add_member_within(chat, user, read, at, limits, audit);
            match added.await {
                // Then nothing has changed.
                Err(StoreError::Full(full)) => Ok(Err(full)),
                added => added.map(Ok),
            }
        };
        let added = self
            .changing_members(identity, chat, &[user], added)
            .await?;
        let added = added.map_err(|full| self.full(identity, full))?;
        let (fresh, joined) = added.ok_or_else(|| access::no_chat(requested))?;
        let notice = async {
            let user = Arc::new(self.user(user).await?);
            let fact = if fresh {
                Fact::MemberJoined(Arc::new(membership(&joined, &user)))
            } else {
                Fact::MembersConfirmed(joined.clone())
            };
            Ok((user, fact))
        };
        let user = self.publish_members(identity, chat, notice).await?;
        if fresh {
            self.member_lists
                .changed(identity.connection, &joined)
                .await;
        }
        Ok((fresh, joined, user))
    }

    /// Removes the user, if it is a member, and publishes that. The right to it is judged again as in
    /// [`Service::add_and_publish`].
    async fn remove_and_publish(&self, change: &Change<'_>) -> Result<(), Error> {
        let Change {
            identity,
            actor,
            requested,
            chat,
            user,
        } = *change;
        let _in_order = self.memberships.in_order(chat).await;
        let members = self.visible(actor, requested).await?;
        access::may_remove(actor, user, &members, self.clock.now())?;
        let act = Act::of_user(AuditAct::RemoveMember, chat, user);
        let audit = self.audit(actor, act);
        let removed = async {
            let at = self.clock.now();
            self.store.remove_member(chat, user, at, audit).await
        };
        let removed = self
            .changing_members(identity, chat, &[user], removed)
            .await?;
        let (removed, left) = removed.ok_or_else(|| access::no_chat(requested))?;
        let notice = async {
            if !removed {
                return Ok(((), Fact::MembersConfirmed(left.clone())));
            }
            let user = Arc::new(self.user(user).await?);
            Ok(((), Fact::MemberLeft(Arc::new(membership(&left, &user)))))
        };
        self.publish_members(identity, chat, notice).await?;
        if removed {
            self.member_lists.changed(identity.connection, &left).await;
        }
        Ok(())
    }

    /// The chat as it is now, with its members.
    async fn current(&self, chat: ChatRef, id: ChatId) -> Result<Reply, Error> {
        let found: Option<Chat> = self.store.chat(id).await.map_err(store_error)?;
        let found = found.ok_or_else(|| access::no_chat(chat))?;
        self.room(found, 0).await.map(Reply::Room)
    }

    /// The members of the chat, which has to be visible to the caller, and the user that joins or
    /// leaves.
    async fn taking_part(
        &self,
        identity: &Identity,
        chat: ChatRef,
    ) -> Result<(Arc<MemberList>, UserId), Error> {
        let user = access::user(identity, None)?;
        let members = self.visible(Actor::User(user), chat).await?;
        Ok((members, user))
    }
}

/// The error of a request about the membership of a user that has none.
pub(super) fn no_member(user: UserId) -> Error {
    Error::not_found(format_args!("member {user}"))
}

/// The membership of this user in the chat after it has changed.
pub(super) fn membership(chat: &Chat, user: &Arc<User>) -> Membership {
    Membership {
        chat: chat.id,
        chat_pk: chat.pk,
        policy: chat.policy,
        user: Arc::clone(user),
        version: chat.members_version,
        head: chat.head,
    }
}
