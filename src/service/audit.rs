//! The audit log: records of acts on others.
//! Does not store them: each store does, in the same step as the act.

use serde_json::{Map, Value};

use super::access::{self, Actor};
use super::{Service, store_error};
use crate::model::{
    AuditAct, AuditFilter, AuditId, AuditPage, AuditRecord, ChatId, Error, EventPk, Identity,
    Reply, UserId,
};

/// The maximum and default length of a page of records.
const PAGE: usize = 1000;

/// An act, and what it is about.
#[derive(Debug, Clone)]
pub(super) struct Act {
    kind: AuditAct,
    chat: Option<ChatId>,
    user: Option<UserId>,
    detail: Map<String, Value>,
}

impl Act {
    pub(super) fn new(kind: AuditAct) -> Self {
        Self {
            kind,
            chat: None,
            user: None,
            detail: Map::new(),
        }
    }

    /// The act on a chat.
    pub(super) fn of_chat(kind: AuditAct, chat: ChatId) -> Self {
        Self {
            chat: Some(chat),
            ..Self::new(kind)
        }
    }

    /// The act on a user in a chat.
    pub(super) fn of_user(kind: AuditAct, chat: ChatId, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..Self::of_chat(kind, chat)
        }
    }

    /// The same with these particulars.
    pub(super) fn with(self, detail: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let detail = detail.into_iter();
        Self {
            detail: detail
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..self
        }
    }

    /// The same with this number of an event.
    pub(super) fn in_event(mut self, event: EventPk) -> Self {
        self.detail.insert("event".to_owned(), event.into());
        self
    }

    /// The same with the names of those fields that a request gives.
    pub(super) fn changing(
        mut self,
        fields: impl IntoIterator<Item = (&'static str, bool)>,
    ) -> Self {
        let given = fields.into_iter().filter(|(_, given)| *given);
        let given: Vec<_> = given.map(|(field, _)| field).collect();
        self.detail.insert("fields".to_owned(), given.into());
        self
    }

    /// The same about this user.
    pub(super) fn about(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }
}

impl Service {
    /// The record of an act, now; `None`: the actor is the user concerned.
    pub(super) fn audit(&self, actor: Actor, act: Act) -> Option<AuditRecord> {
        let Act {
            kind,
            chat,
            user,
            detail,
        } = act;
        let actor = match actor {
            Actor::User(user) => Some(user),
            Actor::Service => None,
        };
        if actor.is_some() && actor == user {
            return None;
        }
        let at = self.clock.now();
        let mut latest = self.latest_audit.lock();
        let id = AuditId::after(*latest, at);
        *latest = Some(id);
        Some(AuditRecord {
            id,
            at,
            actor,
            act: kind,
            chat,
            user,
            detail,
        })
    }

    pub(super) async fn list_audit(
        &self,
        identity: &Identity,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: Option<usize>,
    ) -> Result<Reply, Error> {
        access::service(identity)?;
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        // One more than requested shows whether there is a next page.
        let records = self.store.audit_records(filter, after, limit + 1).await;
        let mut records = records.map_err(store_error)?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|record| record.id);
        Ok(Reply::Audit(AuditPage { records, next }))
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
