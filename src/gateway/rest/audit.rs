//! The audit log.
//! Does not know which acts are recorded.

use axum::Json;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::caller::{ServiceCaller, wrong_reply};
use super::cursor::{self, List};
use super::names::{ChatName, UserName};
use super::problem::{CommonErrors, NotFoundError, Problem};
use super::query::{FromQuery, Parameters, Query};
use super::schemas::{ChatInPath, Limit, UserInPath};
use crate::gateway::dialect::timestamps::time;
use crate::model::{
    AuditFilter, AuditId, AuditPage, AuditRecord, ChatId, Command, Error, Reply, UserId,
};

/// An act on others.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord, examples(json!({
    "id": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f", "at": "2025-03-01T13:51:53.285Z", "actor": null,
    "act": "mute-user", "chat": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f",
    "user": "01955b2e-6d55-7a41-a0f8-7c2f0f6f1d11",
    "detail": {"applies": true, "until": "2025-03-01T14:51:53.285Z"}
})))]
pub struct AuditView {
    /// Its id, by which the log is ordered.
    #[schema(value_type = String, format = "uuid")]
    id: AuditId,
    /// When it was done.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The acting user; null: the host application.
    #[schema(value_type = Option<String>, format = "uuid")]
    actor: Option<UserId>,
    /// The act: `add-member`, `set-role`, and others. There may be more of them in later versions.
    act: &'static str,
    /// The chat, if it concerns one; it may have been deleted since.
    #[schema(value_type = Option<String>, format = "uuid")]
    chat: Option<ChatId>,
    /// The user concerned, if there is one.
    #[schema(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    /// The details: a role, an end, the names of changed fields.
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
}

impl From<AuditRecord> for AuditView {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor: record.actor,
            act: record.act.name(),
            chat: record.chat,
            user: record.user,
            detail: record.detail,
        }
    }
}

/// A part of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditList {
    /// The records, the oldest first.
    records: Vec<AuditView>,
    /// The `cursor` of the next page; null: this is the last one.
    next: Option<String>,
}

impl From<AuditPage> for AuditList {
    fn from(page: AuditPage) -> Self {
        Self {
            records: page.records.into_iter().map(AuditView::from).collect(),
            next: page.next.map(|id| cursor::write(List::Audit, id)),
        }
    }
}

/// Which records to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLog {
    /// Only acts on this chat. A deleted chat has to be named by its UUID.
    #[param(value_type = Option<ChatInPath>, inline, nullable = false)]
    chat: Option<ChatName>,
    /// Only acts that concern this user.
    #[param(value_type = Option<UserInPath>, inline, nullable = false)]
    user: Option<UserName>,
    /// How many at most; a greater value counts as 1000.
    #[param(value_type = Option<Limit>, inline, nullable = false)]
    limit: usize,
    /// The `next` of the page before, of a list with the same `chat` and `user`.
    #[param(
        pattern = "^l[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        nullable = false
    )]
    cursor: Option<String>,
}

impl FromQuery for AuditLog {
    fn read(parameters: &mut Parameters) -> Result<Self, Error> {
        Ok(Self {
            chat: parameters.parsed("chat", "must be the UUID or the number of a chat")?,
            user: parameters.parsed("user", "must be the UUID or the number of a user")?,
            limit: parameters.limit()?,
            cursor: parameters.cursor()?,
        })
    }
}

/// Read the audit log
///
/// Every act of an owner, a moderator, a member or the host application on another user or on a chat that
/// has changed something, and every token that was made.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAudit", tag = "audit",
    params(AuditLog),
    responses(
        (status = 200, description = "A page of records.", body = AuditList),
        CommonErrors, NotFoundError
    )
)]
pub async fn list(
    caller: ServiceCaller,
    Query(asked): Query<AuditLog>,
) -> Result<Json<AuditList>, Problem> {
    let after = cursor::record(asked.cursor.as_deref())?;
    let chat = match asked.chat {
        Some(ChatName(chat)) => Some(caller.chat_id(chat).await?),
        None => None,
    };
    let user = match asked.user {
        Some(UserName(user)) => Some(caller.user_id(user).await?),
        None => None,
    };
    let command = Command::ListAudit {
        filter: AuditFilter { chat, user },
        after,
        limit: Some(asked.limit),
    };
    match caller.execute(command).await? {
        Reply::Audit(page) => Ok(Json(page.into())),
        _ => Err(wrong_reply().into()),
    }
}
