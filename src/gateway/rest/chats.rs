//! Chats: create, get, change, delete and list them.
//! Does not change members later: `members` does.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Created;
use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::cursor::{self, List};
use super::key::Key;
use super::names::{ChatName, PathId, UserName, user_refs};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, ConflictError, NotFoundError, Problem};
use super::query::{FromQuery, Parameters, Query};
use super::schemas::{ChatInPath, Limit, UserInPath};
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::timestamps::time;
use crate::model::{
    Chat, ChatChange, ChatChoice, ChatId, Command, Error, MAX_ID, Policy, Reply, UserId,
};

/// The most members that a chat can be made with; more can be added afterwards.
const MEMBERS: usize = 10_000;

/// A chat.
#[derive(Serialize, ToSchema)]
#[schema(as = Chat, examples(json!({
    "id": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f", "pk": 1, "name": "Lunch", "policy": "closed",
    "owner": 1, "team": null, "event": null, "users": ["01955b2e-6d55-7a41-a0f8-7c2f0f6f1d11"],
    "created_at": "2025-03-01T13:51:53.285Z", "modified_at": "2025-03-01T13:51:53.285Z"
})))]
pub struct ChatView {
    /// The id that polychat gave.
    #[schema(value_type = String, format = "uuid")]
    id: ChatId,
    /// The same as a small integer.
    #[schema(minimum = 1)]
    pk: i64,
    /// The name in the host application, if it has one.
    #[serde(rename = "externalChatId", skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The name.
    name: Option<String>,
    policy: PolicyView,
    /// The number of its owner.
    owner: Option<i64>,
    /// The number of a team in the host application.
    team: Option<i64>,
    /// The number of the event, if it is an event's chat.
    event: Option<i64>,
    /// The ids of its members, in the order of joining.
    #[schema(value_type = Vec<String>)]
    users: Vec<UserId>,
    /// When it was made.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the chat itself (its name, its members) last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
}

/// The visibility of a chat: its members only, or any user.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", try_from = "String")]
#[schema(as = Policy)]
enum PolicyView {
    Closed,
    Open,
}

impl TryFrom<String> for PolicyView {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        match &*name {
            "closed" => Ok(Self::Closed),
            "open" => Ok(Self::Open),
            _ => Err("must be closed or open"),
        }
    }
}

impl From<PolicyView> for Policy {
    fn from(policy: PolicyView) -> Self {
        match policy {
            PolicyView::Closed => Self::Closed,
            PolicyView::Open => Self::Open,
        }
    }
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        Self {
            id: chat.id,
            pk: chat.pk,
            external_id: chat.external_id,
            name: chat.name,
            policy: match chat.policy {
                Policy::Closed => PolicyView::Closed,
                Policy::Open => PolicyView::Open,
            },
            owner: chat.owner,
            team: chat.team,
            event: chat.event,
            users: chat.members,
            created_at: chat.created_at,
            modified_at: chat.modified_at,
        }
    }
}

/// Some chats.
#[derive(Serialize, ToSchema)]
pub struct ChatList {
    /// The chats.
    chats: Vec<ChatView>,
    /// The `cursor` of the next page; null: this is the last one.
    next: Option<String>,
}

/// A chat to create.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "Lunch", "users": [1, 2]})))]
pub struct NewChat {
    /// The name. At most 1024 bytes.
    #[schema(max_length = 1024)]
    name: Option<String>,
    /// The members, in this order. Duplicates are dropped. The server may allow fewer. An open chat needs none.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    users: Vec<UserName>,
    /// Its visibility: `closed` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyView>,
    /// Its small integer, if the host application chooses it. One that another chat has is a conflict.
    #[serde(
        default,
        deserialize_with = "numbers::optional_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 94_000_000)]
    pk: Option<i64>,
    /// Its name in the host application, unique. If a chat has it, that is the answer, unchanged.
    #[serde(rename = "externalChatId", skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    external_id: Option<String>,
}

/// The changes of a chat. A field that is not given stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatChange, examples(json!({"name": "Dinner", "team": null})))]
pub struct Change {
    /// The name. At most 1024 bytes.
    #[schema(max_length = 1024)]
    name: Option<String>,
    /// Its visibility. From `open` to `closed` also ends the subscriptions of users that are no members.
    policy: Option<PolicyView>,
    /// The number of a team in the host application; null removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    #[expect(clippy::option_option, reason = "as in ChatChange")]
    team: Option<Option<i64>>,
}

/// A field that is there, null or not.
#[expect(clippy::option_option, reason = "as in ChatChange")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    let team = numbers::optional(deserializer)?;
    if team.is_none_or(|team| (1..=MAX_ID).contains(&team)) {
        return Ok(Some(team));
    }
    let why = format!("must be a whole number from 1 to {MAX_ID}, or null");
    Err(serde::de::Error::custom(why))
}

/// Which chats to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Chats {
    /// Only this user's chats, the most recently active first.
    #[param(value_type = Option<UserInPath>, inline, nullable = false)]
    user: Option<UserName>,
    /// How many at most; a greater value counts as 1000.
    #[param(value_type = Option<Limit>, inline, nullable = false)]
    limit: usize,
    /// The `next` of the page before, of a list with the same `user`.
    #[param(
        pattern = r"^(c[1-9][0-9]{0,15}|a[0-9]{1,14}\.[1-9][0-9]{0,15})$",
        nullable = false
    )]
    cursor: Option<String>,
}

impl FromQuery for Chats {
    fn read(parameters: &mut Parameters) -> Result<Self, Error> {
        Ok(Self {
            user: parameters.parsed("user", "must be the UUID or the number of a user")?,
            limit: parameters.limit()?,
            cursor: parameters.cursor()?,
        })
    }
}

/// Create a chat
///
/// A closed chat: only its members see it; with the policy `open` any user may read and join it, and it needs no
/// members. A chat of this `externalChatId` is found rather than created. With an `Idempotency-Key` the same request
/// again is answered with the chat created first; another request under that key is a conflict.
#[utoipa::path(
    post, path = "/chats", operation_id = "createChat", tag = "chats",
    params((
        "Idempotency-Key" = Option<String>, Header, nullable = false,
        description = "A name for this request, by which a repetition is known.",
        pattern = "^[!-~]{1,255}$", min_length = 1, max_length = 255
    )),
    request_body = NewChat,
    responses(
        (
            status = 201, description = "The chat.", body = ChatView,
            headers(("Location" = String, description = "Where the chat is."))
        ),
        (status = 200, description = "The chat that has this `externalChatId` already.", body = ChatView),
        CommonErrors, NotFoundError, ConflictError, BodyErrors
    )
)]
pub async fn create(
    caller: ServiceCaller,
    _: Query<()>,
    key: Key,
    Body(new): Body<NewChat>,
) -> Result<Response, Problem> {
    let key = key.of(&new);
    let members = user_refs(new.users, MEMBERS)?;
    let command = Command::CreateChat {
        name: new.name,
        members,
        key,
        chosen: ChatChoice {
            pk: new.pk,
            external_id: new.external_id,
            policy: new.policy.map(Policy::from),
        },
    };
    match caller.execute(command).await? {
        Reply::Chat(chat) => Ok(Created {
            location: format!("chats/{}", chat.id),
            body: ChatView::from(chat),
        }
        .into_response()),
        Reply::ChatFound(chat) => Ok(Json(ChatView::from(chat)).into_response()),
        _ => Err(wrong_reply().into()),
    }
}

/// Get a chat
#[utoipa::path(
    get, path = "/chats/{chat}", operation_id = "getChat", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    responses((status = 200, description = "The chat.", body = ChatView), CommonErrors, NotFoundError)
)]
pub async fn get(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
) -> Result<Json<ChatView>, Problem> {
    let command = Command::GetRoom { chat, messages: 0 };
    room(caller.execute(command).await?)
}

/// Change a chat
///
/// Fields that are not given stay as they are.
#[utoipa::path(
    patch, path = "/chats/{chat}", operation_id = "changeChat", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    request_body = Change,
    responses(
        (status = 200, description = "The chat afterwards.", body = ChatView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn change(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
    Body(change): Body<Change>,
) -> Result<Json<ChatView>, Problem> {
    let change = ChatChange {
        name: change.name,
        team: change.team,
        policy: change.policy.map(Policy::from),
    };
    let command = if change == ChatChange::default() {
        // Nothing is changed, so nothing is published.
        Command::GetRoom { chat, messages: 0 }
    } else {
        Command::ChangeChat { chat, change }
    };
    room(caller.execute(command).await?)
}

/// Delete a chat with all its messages
#[utoipa::path(
    delete, path = "/chats/{chat}", operation_id = "deleteChat", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    responses((status = 204, description = "It is gone."), CommonErrors, NotFoundError)
)]
pub async fn delete(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    caller.execute(Command::DeleteChat { chat }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List chats
///
/// All chats by `pk`, or those of one user, the most recently active first. In mode `open` a request with a
/// user's token that names no other has all that this user sees; a page may have fewer than there are, or none.
#[utoipa::path(
    get, path = "/chats", operation_id = "listChats", tag = "chats",
    params(Chats),
    responses((status = 200, description = "A page of chats.", body = ChatList), CommonErrors, NotFoundError)
)]
pub async fn list(
    caller: ServiceCaller,
    Query(query): Query<Chats>,
) -> Result<Json<ChatList>, Problem> {
    let (cursor, limit) = (query.cursor.as_deref(), Some(query.limit));
    let command = match query.user {
        Some(UserName(user)) => Command::ListChats {
            before: cursor::before(cursor)?,
            user: Some(user),
            limit,
        },
        None => Command::ListAllChats {
            after: cursor::after(List::Chats, cursor)?,
            limit,
        },
    };
    let (chats, next) = match caller.execute(command).await? {
        Reply::Chats(page) => {
            let next = page.next.map(CursorText);
            (
                page.chats,
                next.map(|next| cursor::write(List::ActiveChats, next)),
            )
        }
        Reply::AllChats(list) => {
            let next = list.next.map(|pk| cursor::write(List::Chats, pk));
            (list.chats, next)
        }
        _ => return Err(wrong_reply().into()),
    };
    let chats = chats.into_iter().map(ChatView::from).collect();
    Ok(Json(ChatList { chats, next }))
}

/// The chat of a reply that contains its members.
pub fn room(reply: Reply) -> Result<Json<ChatView>, Problem> {
    match reply {
        Reply::Room(room) => Ok(Json(room.chat.into())),
        _ => Err(wrong_reply().into()),
    }
}
