//! What the backend does for a user beside sending: read, catch up, apply for access, and end its connections.
//! Does not check rights: the service does.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::content;
use super::event_chats::{EventChatView, updated};
use super::messages::MessageView;
use super::names::{ChatName, EventName, PathId, UserName};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use super::schemas::{ChatInPath, EventInPath, UserInPath};
use crate::gateway::dialect::sync::{SyncRequest, SyncResponse};
use crate::model::{ChatRef, Command, Draft, Error, Reply, Seq};

/// How far a user has read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"userId": 1, "seq": 3})))]
pub struct ReadPosition {
    /// The member.
    #[serde(rename = "userId")]
    user: UserName,
    /// The `seq` of the last message that it has read.
    #[serde(deserialize_with = "numbers::whole")]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    seq: Seq,
}

/// The outcome of that.
#[derive(Serialize, ToSchema)]
#[schema(as = Read)]
pub struct ReadView {
    /// Whether the position has moved: it never moves backwards.
    moved: bool,
}

/// Mark as read
///
/// Moves the read position of a member forward, at most to the latest message.
#[utoipa::path(
    post, path = "/chats/{chat}/read", operation_id = "markRead", tag = "messages",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    request_body = ReadPosition,
    responses(
        (status = 200, description = "Whether it has moved.", body = ReadView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn mark_read(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
    Body(ReadPosition { user, seq }): Body<ReadPosition>,
) -> Result<Json<ReadView>, Problem> {
    if seq < 0 {
        return Err(Error::invalid("seq", "must be a whole number of at least 0").into());
    }
    let user = Some(caller.user_id(user.0).await?);
    match caller
        .execute(Command::MarkRead { user, chat, seq })
        .await?
    {
        Reply::Read(read) => Ok(Json(ReadView { moved: read.moved })),
        _ => Err(wrong_reply().into()),
    }
}

/// A guest that applies for access to an event.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"userId": 2, "message": "May I come?"})))]
pub struct Application {
    /// The guest.
    #[serde(rename = "userId")]
    user: UserName,
    /// A message to the owner.
    #[serde(default, deserialize_with = "content::optional_text")]
    #[schema(value_type = Option<String>, min_length = 1, pattern = r"\S")]
    message: Option<String>,
    /// An id of your own for that message, which makes a retry safe.
    #[schema(min_length = 1, max_length = 64)]
    client_id: Option<String>,
}

/// Apply for access to an event
///
/// For a guest, in the chat with the event's owner, which is opened if there is none.
#[utoipa::path(
    post, path = "/events/{event}/applications", operation_id = "requestAccess", tag = "events",
    params(("event" = inline(EventInPath), Path, description = "The number of an event.")),
    request_body = Application,
    responses(
        (status = 200, description = "The chat afterwards.", body = EventChatView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn apply(
    caller: ServiceCaller,
    PathId(EventName(event)): PathId<EventName>,
    _: Query<()>,
    Body(application): Body<Application>,
) -> Result<Json<EventChatView>, Problem> {
    let client_id = application.client_id;
    let is_blank = |text: &String| text.trim().is_empty();
    if application.message.as_ref().is_some_and(is_blank) {
        return Err(Error::invalid("message", "is empty").into());
    }
    let draft = application.message.map(|text| Draft {
        client_id,
        ..Draft::text(text)
    });
    let user = Some(caller.user_id(application.user.0).await?);
    let command = Command::RequestAccess { user, event, draft };
    let updated = updated(caller.execute(command).await?)?;
    Ok(Json((&*updated.chat).into()))
}

/// The messages that a client has missed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"chats": {"1": 3}})))]
pub struct Sync {
    /// The latest known `seq` of each chat, or `{"seq", "id"}` of that message, under the UUID, the number, or
    /// `external:` and the name of the chat.
    #[schema(value_type = Object)]
    chats: Map<String, Value>,
}

/// Catch up with many chats
///
/// The messages after the given ones, up to 1,000 of a chat and 10,000 in all; `has_more` says that more
/// follow. `reset` says that the store does not have the given message, and the answer begins with the first one.
#[utoipa::path(
    post, path = "/sync", operation_id = "sync", tag = "messages",
    request_body = Sync,
    responses(
        (
            status = 200, description = "The missed messages, under the names of the request.",
            body = Object
        ),
        CommonErrors, BodyErrors, NotFoundError
    )
)]
pub async fn sync(
    caller: ServiceCaller,
    _: Query<()>,
    Body(Sync { chats }): Body<Sync>,
) -> Result<Json<Value>, Problem> {
    let request = SyncRequest::read(Some(&Value::Object(chats)), "chats", chat)?;
    let Reply::Synced(synced) = caller.execute(request.command(None)).await? else {
        return Err(wrong_reply().into());
    };
    let body: SyncResponse<'_, MessageView> = request.response(&synced, MessageView::from);
    let body = serde_json::to_value(body).map_err(|_| wrong_reply())?;
    Ok(Json(body))
}

fn chat(name: &str) -> Option<ChatRef> {
    name.parse().ok().map(|ChatName(chat)| chat)
}

/// Disconnect a user
///
/// Closes the connections that the user has. Its clients may connect again: revoke the tokens to prevent that.
#[utoipa::path(
    delete, path = "/users/{user}/connections", operation_id = "disconnect", tag = "users",
    params(("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")),
    responses((status = 204, description = "They are closed."), CommonErrors, NotFoundError)
)]
pub async fn disconnect(
    caller: ServiceCaller,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    caller.execute(Command::Disconnect { user }).await?;
    Ok(StatusCode::NO_CONTENT)
}
