//! The mutes and the role reader of users that are no members, on MongoDB: kept when a membership
//! ends, given back when one begins.
//! Does not begin or end memberships: `members` and `sanctions` do.

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawDocumentBuf, Uuid, doc};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::database::{Database, Query};
use super::documents::MemberDocument;
use super::fields::{Readable, RoleField, decode};
use super::sanction_documents::MuteDocument;
use crate::model::{ChatId, MemberRights, MemberRole};
use crate::store::StoreError;

pub(super) const KEPT_RIGHTS: &str = "kept_rights";

/// What is kept for a user that is no member of a chat: a role, a mute, or both.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptDocument {
    chat: Uuid,
    user: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<RoleField>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mute: Option<MuteDocument>,
}

impl KeptDocument {
    pub(super) fn new(chat: Uuid, kept: MemberRights) -> Self {
        Self {
            chat,
            user: kept.user.into(),
            role: RoleField::of(kept.role),
            mute: kept.mute.map(MuteDocument::from),
        }
    }
}

impl Readable for KeptDocument {
    const COLLECTION: &'static str = KEPT_RIGHTS;
    type Model = MemberRights;

    fn model(self) -> Result<MemberRights, StoreError> {
        Ok(MemberRights {
            user: self.user.into(),
            role: self.role.map(MemberRole::from).unwrap_or_default(),
            mute: self.mute.map(MuteDocument::sanction).transpose()?,
        })
    }
}

impl Database {
    /// Keeps what outlives this membership, which the transaction has ended. Of a member that cannot
    /// be read nothing is kept, which is logged: it had no rights either.
    pub(super) async fn keep(
        &self,
        member: &RawDocumentBuf,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let read = || {
            let member = decode::<MemberDocument>(member)?;
            let kept = member.rights()?.kept();
            Ok::<_, StoreError>(kept.map(|kept| KeptDocument::new(member.chat, kept)))
        };
        match read() {
            Ok(None) => {}
            Ok(Some(kept)) => {
                let place = doc! { "chat": kept.chat, "user": kept.user };
                let collection = self.collection::<KeptDocument>(KEPT_RIGHTS);
                let put = collection.replace_one(place, kept).upsert(true);
                put.session(session).await?;
            }
            Err(error) => error!(%error, "the rights of a former member were left out"),
        }
        Ok(())
    }

    /// Takes what was kept for a user that becomes a member; it is kept no longer. `Corrupt` if it
    /// cannot be read: the user would come back without its mute.
    pub(super) async fn take_back(
        &self,
        place: Document,
        session: &mut ClientSession,
    ) -> Result<Option<MemberRights>, StoreError> {
        let collection = self.raw(KEPT_RIGHTS);
        let kept = collection.find_one_and_delete(place);
        let kept = kept.session(session).await?;
        kept.map(|kept| decode::<KeptDocument>(&kept)).transpose()
    }

    /// This field of what is kept for a user; `None`: it is not there.
    pub(super) async fn kept_field(
        &self,
        place: Document,
        field: &str,
        session: &mut ClientSession,
    ) -> Result<Option<Bson>, StoreError> {
        let collection = self.collection::<Document>(KEPT_RIGHTS);
        let found = collection.find_one(place).session(session).await?;
        Ok(found.and_then(|found| found.get(field).cloned()))
    }

    /// Sets this field of what is kept for a user that is no member; `None` deletes it.
    pub(super) async fn change_kept(
        &self,
        place: Document,
        field: &str,
        value: Option<Bson>,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let kept = self.raw(KEPT_RIGHTS);
        if let Some(value) = value {
            let set = doc! { "$set": { field: value } };
            let put = kept.update_one(place, set).upsert(true);
            put.session(session).await?;
            return Ok(());
        }
        let unset = doc! { "$unset": { field: true } };
        let unset = kept.update_one(place.clone(), unset);
        unset.session(&mut *session).await?;
        let mut empty = place;
        empty.insert("role", doc! { "$exists": false });
        empty.insert("mute", doc! { "$exists": false });
        kept.delete_one(empty).session(session).await?;
        Ok(())
    }

    /// What is kept of a chat, by the user's id. `Corrupt` if any of it cannot be read.
    pub(super) async fn kept_rights(&self, chat: ChatId) -> Result<Vec<MemberRights>, StoreError> {
        let query = Query {
            sort: doc! { "user": 1 },
            ..Query::all(doc! { "chat": chat })
        };
        self.all::<KeptDocument>(query).await
    }
}
