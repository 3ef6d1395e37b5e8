//! Adds and removes members of a chat.
//! Does not know the other fields of a chat.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::ServiceCaller;
use super::chats::{ChatView, room};
use super::names::{ChatName, PathId, UserName, user_refs};
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use super::schemas::{ChatInPath, UserInPath};
use crate::model::{Command, Error};

/// The most users that are added at once.
const AT_ONCE: usize = 100;

/// Users to make members.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"users": [3]})))]
pub struct NewMembers {
    /// The users, in this order. Those that are members already stay members.
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<UserName>,
}

/// Add members
///
/// The chat of an event belongs to its owner and one guest: no user can be added there.
#[utoipa::path(
    post, path = "/chats/{chat}/members", operation_id = "addMembers", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    request_body = NewMembers,
    responses(
        (status = 200, description = "The chat afterwards.", body = ChatView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn add(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
    Body(new): Body<NewMembers>,
) -> Result<Json<ChatView>, Problem> {
    let users = user_refs(new.users, AT_ONCE)?;
    if users.is_empty() {
        return Err(Error::invalid("users", "name at least one user").into());
    }
    room(caller.execute(Command::AddMembers { chat, users }).await?)
}

/// Remove a member
#[utoipa::path(
    delete, path = "/chats/{chat}/members/{user}", operation_id = "removeMember", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    responses(
        (status = 200, description = "The chat afterwards.", body = ChatView),
        CommonErrors, NotFoundError
    )
)]
pub async fn remove(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
) -> Result<Json<ChatView>, Problem> {
    let user = caller.user_id(user).await?;
    room(caller.execute(Command::RemoveMember { chat, user }).await?)
}
