//! Who takes part in a chat: adding and removing.
//! It refuses to know what the chat is otherwise.

use std::collections::{HashMap, HashSet};

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
use crate::model::{Command, Error, UserId, UserRef};

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
    let users = ids(&host, new.users, AT_ONCE).await?;
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

/// The ids of the users who are named, each once, in the order given.
///
/// # Errors
/// `TooLarge`: more than `most` are named. `NotFound`: there is none of that number.
pub async fn ids(host: &Host, named: Vec<UserName>, most: usize) -> Result<Vec<UserId>, Error> {
    if named.len() > most {
        return Err(Error::too_large("users", format_args!("{most} of them")));
    }
    let (mut known, mut seen) = (HashMap::new(), HashSet::new());
    let mut ids = Vec::with_capacity(named.len());
    for UserName(user) in named {
        let id = match user {
            UserRef::Id(id) => id,
            UserRef::Pk(pk) => match known.get(&pk) {
                Some(id) => *id,
                None => *known.entry(pk).or_insert(host.user_id(user).await?),
            },
        };
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}
