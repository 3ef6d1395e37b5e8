//! Who takes part in a chat: adding and removing.
//! Does not know what the chat is otherwise.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use super::chats::{ChatView, room};
use super::host::Host;
use super::names::{At, ChatName, UserName};
use super::problem::{Problem, Refused, Unknown, Unreadable};
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
    /// Whom, in this order. Who is a member already stays one.
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<UserName>,
}

/// Add members
///
/// The chat of an event belongs to its owner and one guest: nobody can be added there.
#[utoipa::path(
    post, path = "/chats/{chat}/members", operation_id = "addMembers", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID or the number of a chat.")),
    request_body = NewMembers,
    responses(
        (status = 200, description = "The chat afterwards.", body = ChatView),
        Refused, Unknown, Unreadable
    )
)]
pub async fn add(
    host: Host,
    At(ChatName(chat)): At<ChatName>,
    _: Query<()>,
    Body(new): Body<NewMembers>,
) -> Result<Json<ChatView>, Problem> {
    let users = host.user_ids(new.users, AT_ONCE).await?;
    if users.is_empty() {
        return Err(Error::invalid("users", "name at least one user").into());
    }
    room(host.ask(Command::AddMembers { chat, users }).await?)
}

/// Remove a member
#[utoipa::path(
    delete, path = "/chats/{chat}/members/{user}", operation_id = "removeMember", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID or the number of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user.")
    ),
    responses(
        (status = 200, description = "The chat afterwards.", body = ChatView),
        Refused, Unknown
    )
)]
pub async fn remove(
    host: Host,
    At(ChatName(chat)): At<ChatName>,
    At(UserName(user)): At<UserName>,
    _: Query<()>,
) -> Result<Json<ChatView>, Problem> {
    let user = host.user_id(user).await?;
    room(host.ask(Command::RemoveMember { chat, user }).await?)
}
