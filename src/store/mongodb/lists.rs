//! Lists of chats on MongoDB.
//! Does not fail for a chat that cannot be decoded, nor exceed the limit of members of a page.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use mongodb::bson::{Document, Uuid, doc};

use super::Mongo;
use super::database::Query;
use super::documents::{ChatDocument, FoundChat, MemberDocument};
use crate::model::{
    Chat, ChatCursor, ChatId, ChatMark, ChatPage, ChatPk, MembersVersion, Policy, Seq, UserId,
    VisibleCursor, VisiblePage,
};
use crate::store::{PAGE_MEMBERS, StoreError};

impl Mongo {
    pub(super) async fn list_after(
        &self,
        after: ChatPk,
        limit: usize,
    ) -> Result<Vec<Chat>, StoreError> {
        let query = by_pk(doc! { "pk": { "$gt": after } }, limit);
        let found = self.found_all(query).await?;
        self.with_members(found.into_iter().map(|found| found.chat))
            .await
    }

    /// Two parts, each read by an index: what is not asked for is not read.
    pub(super) async fn list_visible(
        &self,
        user: UserId,
        at: Timestamp,
        before: Option<VisibleCursor>,
        limit: usize,
    ) -> Result<VisiblePage, StoreError> {
        // One more than requested shows whether there is a next page.
        let wanted = limit.saturating_add(1);
        let ids = self.ids_of(user).await?;
        let (mut found, others) = match before {
            Some(VisibleCursor { own: false, pk }) => (Vec::new(), pk),
            before => {
                let before = before.map_or(ChatPk::MAX, |cursor| cursor.pk);
                let own = own_chats(ids.clone(), before, wanted);
                let own = self.database.readable::<ChatDocument>(own).await?;
                (own, ChatPk::MAX)
            }
        };
        let own = found.len();
        if own < wanted {
            let banned = self.chats_banned_from(user, at).await?;
            let except = ids.into_iter().chain(banned).collect();
            let others = other_chats(except, others, wanted - own);
            let others = self.database.readable::<ChatDocument>(others).await?;
            found.extend(others);
        }
        let count = found.len();
        found.truncate(limit);
        let found = self.with_heads(found).await?;
        let chats = found.into_iter().map(|found| found.chat);
        let mut chats = self.with_members(chats).await?;
        let next = chats.last().filter(|_| chats.len() < count);
        let next = next.map(|chat| VisibleCursor {
            own: chats.len() <= own,
            pk: chat.pk,
        });
        // A removal or ban since then may precede what was read: a second look decides.
        let banned = self.chats_banned_from(user, at).await?;
        let banned: HashSet<_> = banned.into_iter().collect();
        chats.retain(|chat| match chat.policy {
            Policy::Open => !banned.contains(&Uuid::from(chat.id)),
            Policy::Closed => chat.members.contains(&user),
        });
        Ok(VisiblePage { chats, next })
    }

    pub(super) async fn page_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError> {
        let mut found = self.by_activity(user, doc! {}).await?;
        if let Some(before) = before {
            let before = (before.active_at, before.pk);
            found.retain(|found| (found.chat.active_at, found.chat.pk) < before);
        }
        // One more than requested shows whether there is a next page.
        found.truncate(limit.saturating_add(1));
        let asked_for = found.iter().take(limit).map(|found| found.chat.clone());
        let mut chats = self.with_members(asked_for).await?;
        let more = chats.len() < found.len();
        let next = chats.last().filter(|_| more).map(|chat| ChatCursor {
            active_at: chat.active_at,
            pk: chat.pk,
        });
        // The members were read after everything else: who was removed since then is not shown it.
        chats.retain(|chat| chat.members.contains(&user));
        Ok(ChatPage { chats, next })
    }

    /// A version is read after the memberships. If the user has been removed in between it counts that
    /// removal, and the chat is left out: a second look at the members decides.
    pub(super) async fn memberships(
        &self,
        user: UserId,
    ) -> Result<Vec<(ChatId, MembersVersion)>, StoreError> {
        let ids = self.ids_of(user).await?;
        let query = Query::all(doc! { "_id": { "$in": ids } });
        let found = self.database.readable::<ChatDocument>(query).await?;
        let members: HashSet<_> = self.ids_of(user).await?.into_iter().collect();
        let chats = found.into_iter().map(|found| found.chat);
        let chats = chats.filter(|chat| members.contains(&Uuid::from(chat.id)));
        Ok(chats.map(|chat| (chat.id, chat.members_version)).collect())
    }

    /// The `seq` of each chat's latest message, 0 without one.
    pub(super) async fn heads_of(&self, chats: &[ChatId]) -> Result<Vec<Seq>, StoreError> {
        let found = self
            .found_all(Query::all(doc! { "_id": { "$in": chats } }))
            .await?;
        let heads: HashMap<_, _> = found
            .into_iter()
            .map(|found| (found.chat.id, found.chat.head))
            .collect();
        let head = |chat| heads.get(chat).copied().unwrap_or(0);
        Ok(chats.iter().map(head).collect())
    }

    /// Since which message each of these users is a member of a chat.
    pub(super) async fn joined(
        &self,
        chat: ChatId,
        users: &[UserId],
    ) -> Result<Vec<Option<Seq>>, StoreError> {
        let query = Query::all(doc! { "chat": chat, "user": { "$in": users } });
        let found = self.database.readable::<MemberDocument>(query).await?;
        let since: HashMap<_, _> = found.iter().map(|it| (it.user, it.since)).collect();
        let joined = users.iter().map(|user| since.get(&Uuid::from(*user)));
        Ok(joined.map(Option::<&Seq>::copied).collect())
    }

    /// The mark of each chat.
    pub(super) async fn marks_of(
        &self,
        chats: &[ChatId],
    ) -> Result<Vec<Option<ChatMark>>, StoreError> {
        let query = Query::all(doc! { "_id": { "$in": chats } });
        let found = self.database.readable::<ChatDocument>(query).await?;
        let marks = found.into_iter().map(|FoundChat { chat, .. }| {
            let mark = ChatMark {
                members_version: chat.members_version,
                of_event: chat.event.is_some(),
                modified_at: chat.modified_at,
            };
            (chat.id, mark)
        });
        let marks: HashMap<_, _> = marks.collect();
        Ok(chats.iter().map(|chat| marks.get(chat).copied()).collect())
    }

    /// The chats of this user that match, the most recently active first.
    pub(super) async fn by_activity(
        &self,
        user: UserId,
        mut filter: Document,
    ) -> Result<Vec<FoundChat>, StoreError> {
        filter.insert("_id", doc! { "$in": self.ids_of(user).await? });
        let mut found = self.found_all(Query::all(filter)).await?;
        found.sort_by_key(|found| Reverse((found.chat.active_at, found.chat.pk)));
        Ok(found)
    }

    /// The ids of the chats that this user is a member of, and perhaps of some that are gone.
    async fn ids_of(&self, user: UserId) -> Result<Vec<Uuid>, StoreError> {
        let members = self
            .database
            .readable::<MemberDocument>(Query::all(doc! { "user": user }))
            .await?;
        Ok(members.into_iter().map(|member| member.chat).collect())
    }

    /// The id of the chat with each of these `pk`s.
    pub(super) async fn ids_by_pk(
        &self,
        pks: &[ChatPk],
    ) -> Result<Vec<Option<ChatId>>, StoreError> {
        let query = Query::all(doc! { "pk": { "$in": pks } });
        let found = self.database.readable::<ChatDocument>(query).await?;
        let ids = found.into_iter().map(|found| found.chat);
        let ids: HashMap<_, _> = ids.map(|chat| (chat.pk, chat.id)).collect();
        Ok(pks.iter().map(|pk| ids.get(pk).copied()).collect())
    }

    /// The chats that match, with heads and latest activity, without their members.
    pub(super) async fn found_all(&self, query: Query) -> Result<Vec<FoundChat>, StoreError> {
        let found = self.database.readable::<ChatDocument>(query).await?;
        self.with_heads(found).await
    }

    /// These chats with heads and latest activity.
    pub(super) async fn with_heads(
        &self,
        found: Vec<FoundChat>,
    ) -> Result<Vec<FoundChat>, StoreError> {
        let ids: Vec<_> = found.iter().map(|found| found.chat.id).collect();
        let latest = self.latest_of(&ids).await?;
        let with_latest = |found: FoundChat| {
            let latest = latest.get(&found.chat.id).copied();
            found.with(latest)
        };
        found.into_iter().map(with_latest).collect()
    }

    /// These chats with their members, until those are more than [`PAGE_MEMBERS`].
    pub(super) async fn with_members(
        &self,
        chats: impl IntoIterator<Item = Chat>,
    ) -> Result<Vec<Chat>, StoreError> {
        let chats: Vec<_> = chats.into_iter().collect();
        let ids: Vec<_> = chats.iter().map(|chat| chat.id).collect();
        let mut members = self.members_of(&ids).await?;
        let (mut complete, mut count) = (Vec::with_capacity(chats.len()), 0);
        for mut chat in chats {
            if count > PAGE_MEMBERS {
                break;
            }
            chat.members = match &mut members {
                Some(members) => members.remove(&chat.id).unwrap_or_default(),
                None => self.all_members_of(chat.id).await?,
            };
            count += chat.members.len();
            complete.push(chat);
        }
        Ok(complete)
    }

    /// The members of these chats, in the order of joining; `None`: they are more than
    /// [`PAGE_MEMBERS`] together.
    async fn members_of(
        &self,
        chats: &[ChatId],
    ) -> Result<Option<HashMap<ChatId, Vec<UserId>>>, StoreError> {
        if chats.is_empty() {
            return Ok(Some(HashMap::new()));
        }
        let query = Query {
            filter: doc! { "chat": { "$in": chats } },
            limit: PAGE_MEMBERS + 1,
            ..Query::default()
        };
        let mut found = self.database.readable::<MemberDocument>(query).await?;
        if found.len() > PAGE_MEMBERS {
            return Ok(None);
        }
        found.sort_by_key(|member| member.place);
        let mut members: HashMap<_, Vec<_>> = HashMap::new();
        for member in found {
            members
                .entry(member.chat.into())
                .or_default()
                .push(member.user.into());
        }
        Ok(Some(members))
    }

    async fn all_members_of(&self, chat: ChatId) -> Result<Vec<UserId>, StoreError> {
        let query = Query::all(doc! { "chat": chat });
        let mut found = self.database.readable::<MemberDocument>(query).await?;
        found.sort_by_key(|member| member.place);
        Ok(found.into_iter().map(|member| member.user.into()).collect())
    }
}

/// The first of the chats that match, by their numbers.
pub(super) fn by_pk(filter: Document, limit: usize) -> Query {
    Query {
        filter,
        sort: doc! { "pk": 1 },
        limit,
        ..Query::default()
    }
}

/// The newest of these chats below a number.
pub(super) fn own_chats(ids: Vec<Uuid>, before: ChatPk, limit: usize) -> Query {
    Query {
        sort: doc! { "pk": -1 },
        limit,
        // Not that of all `pk`s, which has the order.
        index: Some("_id_"),
        ..Query::all(doc! { "_id": { "$in": ids }, "pk": { "$lt": before } })
    }
}

/// The newest open chats below a number, except these.
pub(super) fn other_chats(except: Vec<Uuid>, before: ChatPk, limit: usize) -> Query {
    let open = doc! { "policy": "open", "pk": { "$lt": before }, "_id": { "$nin": except } };
    Query {
        sort: doc! { "pk": -1 },
        limit,
        index: Some("policy_pk"),
        ..Query::all(open)
    }
}
