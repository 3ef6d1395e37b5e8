//! The documents of mutes, bans and the audit log, and their conversion from and to the model.
//! Does not query the database.

use mongodb::bson::{Bson, DateTime, Document, Uuid, deserialize_from_document, doc};
use serde::{Deserialize, Serialize};

use super::failure::corrupt;
use super::fields::{Readable, date, time};
use crate::model::{AuditAct, AuditRecord, Ban, ChatId, Sanction};
use crate::store::StoreError;

pub(super) const BANS: &str = "bans";
pub(super) const AUDIT: &str = "audit";

/// The mute of a member. Written as a whole, so that equal mutes are equal documents.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct MuteDocument {
    /// `null`: it has no end.
    until: Option<DateTime>,
}

impl From<Sanction> for MuteDocument {
    fn from(mute: Sanction) -> Self {
        Self {
            until: mute.until.map(date),
        }
    }
}

impl From<MuteDocument> for Bson {
    fn from(mute: MuteDocument) -> Self {
        doc! { "until": mute.until }.into()
    }
}

impl MuteDocument {
    /// The mute in a document that is deleted; `None`: it cannot be read.
    pub(super) fn lifted(document: Document) -> Option<Sanction> {
        let read = deserialize_from_document::<Self>(document);
        read.ok()?.sanction().ok()
    }

    /// The mute.
    pub(super) fn sanction(self) -> Result<Sanction, StoreError> {
        let until = self.until.map(time).transpose()?;
        Ok(Sanction { until })
    }
}

/// A ban of a user from a chat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BanDocument {
    pub(super) chat: Uuid,
    user: Uuid,
    /// `null`: it has no end.
    pub(super) until: Option<DateTime>,
}

impl BanDocument {
    pub(super) fn new(chat: ChatId, ban: Ban) -> Self {
        Self {
            chat: chat.into(),
            user: ban.user.into(),
            until: ban.sanction.until.map(date),
        }
    }
}

impl Readable for BanDocument {
    const COLLECTION: &'static str = BANS;
    type Model = Ban;

    fn model(self) -> Result<Ban, StoreError> {
        let until = self.until.map(time).transpose()?;
        Ok(Ban {
            user: self.user.into(),
            sanction: Sanction { until },
        })
    }
}

/// A record of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AuditDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    at: DateTime,
    /// `null`: the host application.
    actor: Option<Uuid>,
    act: String,
    chat: Option<Uuid>,
    user: Option<Uuid>,
    /// A JSON object: as text it keeps every number as it is.
    detail: String,
}

impl AuditDocument {
    pub(super) fn new(record: &AuditRecord) -> Result<Self, StoreError> {
        let detail = serde_json::to_string(&record.detail);
        Ok(Self {
            id: record.id.into(),
            at: date(record.at),
            actor: record.actor.map(Uuid::from),
            act: record.act.name().to_owned(),
            chat: record.chat.map(Uuid::from),
            user: record.user.map(Uuid::from),
            detail: detail.map_err(|error| corrupt(error.to_string()))?,
        })
    }
}

impl Readable for AuditDocument {
    const COLLECTION: &'static str = AUDIT;
    type Model = AuditRecord;

    fn model(self) -> Result<AuditRecord, StoreError> {
        let act = AuditAct::of_name(&self.act);
        let detail = serde_json::from_str(&self.detail);
        Ok(AuditRecord {
            id: self.id.into(),
            at: time(self.at)?,
            actor: self.actor.map(Into::into),
            act: act.ok_or_else(|| corrupt(format!("no act: {}", self.act)))?,
            chat: self.chat.map(Into::into),
            user: self.user.map(Into::into),
            detail: detail.map_err(|error| corrupt(format!("no detail: {error}")))?,
        })
    }
}
