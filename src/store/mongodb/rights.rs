//! The rights in many chats, read together.
//! Does not repeat a read that a change has overtaken: the caller does, for that chat.

use std::collections::HashMap;

use mongodb::bson::{Uuid, doc};

use super::Mongo;
use super::database::Query;
use super::documents::{ChatDocument, FoundChat, MemberDocument, UserDocument};
use super::fields::{Readable, parse};
use super::sanction_documents::{BANS, BanDocument};
use crate::model::{Ban, ChatId, ChatRights, UserId, UserPk};
use crate::store::{PAGE_MEMBERS, StoreError};

/// What was found of one chat.
pub(super) enum FoundRights {
    /// These rights, all of one moment.
    Of(ChatRights),
    /// There is no such chat.
    Nothing,
    /// They changed meanwhile.
    Moving,
}

impl Mongo {
    /// The rights in the first of these chats, as many as have [`PAGE_MEMBERS`] members together, and in
    /// one at least. As few queries as for one chat.
    pub(super) async fn rights_in_all(
        &self,
        chats: &[ChatId],
    ) -> Result<Vec<FoundRights>, StoreError> {
        let before = self.chats_by_id(chats).await?;
        let chats = first_of(chats, &before);
        let known: Vec<_> = chats
            .iter()
            .filter(|chat| before.contains_key(chat))
            .collect();
        if known.is_empty() {
            return Ok(chats.iter().map(|_| FoundRights::Nothing).collect());
        }
        let of_these = doc! { "chat": { "$in": &known } };
        let members = Query::all(of_these);
        let members = self.database.readable::<MemberDocument>(members);
        let owners = known.iter().filter_map(|chat| before.get(chat)?.chat.owner);
        let (mut members, bans, creators) = tokio::try_join!(
            members,
            self.bans_of_all(&known),
            self.ids_of_users(owners.collect())
        )?;
        members.sort_by_key(|member| member.place);
        let mut rights = HashMap::new();
        for (id, FoundChat { chat, .. }) in &before {
            let creator = chat.owner.and_then(|owner| creators.get(&owner));
            let found = ChatRights {
                chat: *id,
                pk: chat.pk,
                policy: chat.policy,
                creator: creator.copied(),
                event: chat.event,
                version: chat.members_version,
                members: Vec::new(),
                bans: bans.get(id).cloned().unwrap_or_default(),
            };
            rights.insert(*id, found);
        }
        for member in members {
            if let Some(rights) = rights.get_mut(&member.chat.into()) {
                rights.members.push(member.rights()?);
            }
        }
        // Each change of them counts: with the same version afterwards, there was none.
        let after = self.chats_by_id(chats).await?;
        let found = chats
            .iter()
            .map(|chat| match (rights.remove(chat), after.get(chat)) {
                (Some(rights), Some(after)) if after.chat.members_version == rights.version => {
                    FoundRights::Of(rights)
                }
                (None, None) => FoundRights::Nothing,
                _ => FoundRights::Moving,
            });
        Ok(found.collect())
    }

    async fn chats_by_id(
        &self,
        chats: &[ChatId],
    ) -> Result<HashMap<ChatId, FoundChat>, StoreError> {
        let query = Query::all(doc! { "_id": { "$in": chats } });
        let found = self.database.all::<ChatDocument>(query).await?;
        Ok(found
            .into_iter()
            .map(|found| (found.chat.id, found))
            .collect())
    }

    /// The bans of these chats, by the user's id. None is left out: its user would be let in.
    async fn bans_of_all(
        &self,
        chats: &[&ChatId],
    ) -> Result<HashMap<ChatId, Vec<Ban>>, StoreError> {
        let bans = self.database.raw(BANS);
        let bans = bans.find(doc! { "chat": { "$in": chats } });
        let mut found = bans.sort(doc! { "user": 1 }).await?;
        let mut by_chat: HashMap<_, Vec<_>> = HashMap::new();
        while found.advance().await? {
            let ban: BanDocument = parse(found.current())?;
            let chat: Uuid = ban.chat;
            by_chat.entry(chat.into()).or_default().push(ban.model()?);
        }
        Ok(by_chat)
    }

    async fn ids_of_users(&self, pks: Vec<UserPk>) -> Result<HashMap<UserPk, UserId>, StoreError> {
        if pks.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Query::all(doc! { "pk": { "$in": pks } });
        let found = self.database.all::<UserDocument>(query).await?;
        Ok(found.into_iter().map(|user| (user.pk, user.id)).collect())
    }
}

/// As many of these chats as may be answered at once. No more members are left than have ever joined.
fn first_of<'a>(chats: &'a [ChatId], found: &HashMap<ChatId, FoundChat>) -> &'a [ChatId] {
    let most = i64::try_from(PAGE_MEMBERS).unwrap_or(i64::MAX);
    let mut members = 0_i64;
    let fitting = chats.iter().take_while(|chat| {
        members = members.saturating_add(found.get(chat).map_or(0, |found| found.places));
        members <= most
    });
    let fitting = fitting.count().max(1).min(chats.len());
    &chats[..fitting]
}
