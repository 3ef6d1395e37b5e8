//! Roles, mutes and bans in a chat.
//! Does not know the other fields of a chat.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::names::{ChatName, PathId, UserName};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use super::schemas::{ChatInPath, UserInPath};
use crate::gateway::dialect::timestamps::optional_time;
use crate::model::{
    Ban, ChatId, Command, Error, MemberRights, MemberRole, Reply, SanctionChange, SanctionTerm,
    UserId,
};

/// The role of a member, from the lowest rank up.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub enum RoleView {
    Reader,
    Member,
    Moderator,
    Owner,
}

impl From<MemberRole> for RoleView {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Reader => Self::Reader,
            MemberRole::Member => Self::Member,
            MemberRole::Moderator => Self::Moderator,
            MemberRole::Owner => Self::Owner,
        }
    }
}

impl From<RoleView> for MemberRole {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Reader => Self::Reader,
            RoleView::Member => Self::Member,
            RoleView::Moderator => Self::Moderator,
            RoleView::Owner => Self::Owner,
        }
    }
}

/// A member of a chat.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberView {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    role: RoleView,
    /// Whether the member is muted.
    muted: bool,
    /// When the mute ends; null: it has no end, or there is none.
    #[serde(serialize_with = "optional_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    muted_until: Option<Timestamp>,
}

impl MemberView {
    /// The member as it is at this time.
    fn of(member: MemberRights, at: Timestamp) -> Self {
        let mute = member.mute.filter(|mute| mute.applies(at));
        Self {
            id: member.user,
            role: member.role.into(),
            muted: mute.is_some(),
            muted_until: mute.and_then(|mute| mute.until),
        }
    }
}

/// The members of a chat.
#[derive(Serialize, ToSchema)]
pub struct MemberList {
    /// In the order of joining.
    members: Vec<MemberView>,
}

/// The role of one member.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberRole)]
pub struct MemberRoleView {
    /// The chat.
    #[schema(value_type = String, format = "uuid")]
    chat: ChatId,
    /// The member.
    #[schema(value_type = String, format = "uuid")]
    user: UserId,
    role: RoleView,
}

/// A mute or a ban.
#[derive(Serialize, ToSchema)]
#[schema(as = Sanction, examples(json!({
    "chat": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f", "user": "01955b2e-6d55-7a41-a0f8-7c2f0f6f1d11",
    "until": "2025-03-01T14:51:53.285Z"
})))]
pub struct SanctionView {
    /// The chat.
    #[schema(value_type = String, format = "uuid")]
    chat: ChatId,
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user: UserId,
    /// When it ends; null: it has no end.
    #[serde(serialize_with = "optional_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl SanctionView {
    fn of(change: &SanctionChange) -> Self {
        Self {
            chat: change.chat,
            user: change.user.id,
            until: change.sanction.and_then(|sanction| sanction.until),
        }
    }
}

/// A banned user.
#[derive(Serialize, ToSchema)]
#[schema(as = Ban)]
struct BanView {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user: UserId,
    /// When the ban ends; null: it has no end.
    #[serde(serialize_with = "optional_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl From<Ban> for BanView {
    fn from(ban: Ban) -> Self {
        Self {
            user: ban.user,
            until: ban.sanction.until,
        }
    }
}

/// The bans of a chat.
#[derive(Serialize, ToSchema)]
pub struct BanList {
    /// Those in force, by the user's id.
    bans: Vec<BanView>,
}

/// A role to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"role": "moderator"})))]
pub struct NewRole {
    role: RoleView,
}

/// The length of a mute or a ban.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"seconds": 600})))]
pub struct Term {
    /// How long it applies from now on, in seconds; null, or not given: without end.
    #[serde(default, deserialize_with = "numbers::optional")]
    #[schema(minimum = 1, maximum = 3_155_760_000_i64)]
    seconds: Option<i64>,
}

/// The longest mute or ban that has an end, in seconds: 100 years.
const LONGEST: i64 = 3_155_760_000;

impl Term {
    fn read(&self) -> Result<SanctionTerm, Error> {
        match self.seconds {
            Some(seconds) if !(1..=LONGEST).contains(&seconds) => {
                let why = format!("must be a whole number from 1 to {LONGEST}");
                Err(Error::invalid("seconds", &why))
            }
            seconds => Ok(SanctionTerm::of(seconds)),
        }
    }
}

/// List the members of a chat with their roles and mutes
#[utoipa::path(
    get, path = "/chats/{chat}/members", operation_id = "listMembers", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    responses(
        (status = 200, description = "All members.", body = MemberList),
        CommonErrors, NotFoundError
    )
)]
pub async fn list_members(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
) -> Result<Json<MemberList>, Problem> {
    let at = caller.server.state.clock.now();
    match caller.execute(Command::ListMembers { chat }).await? {
        Reply::Members(members) => {
            let members = members.into_iter();
            let members = members.map(|member| MemberView::of(member, at)).collect();
            Ok(Json(MemberList { members }))
        }
        _ => Err(wrong_reply().into()),
    }
}

/// Set the role of a member
///
/// The creator of a chat stays its owner, and the members of an event's chat have no other roles. Only the
/// creator or a service takes the role `owner` from a member. The
/// role `reader` stays when the user leaves and comes back, the others end with the membership. A user
/// that is no member can be made a `reader` for when it comes, and a `member` again.
#[utoipa::path(
    put, path = "/chats/{chat}/members/{user}/role", operation_id = "setRole", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    request_body = NewRole,
    responses(
        (status = 200, description = "The role afterwards.", body = MemberRoleView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn set_role(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
    Body(new): Body<NewRole>,
) -> Result<Json<MemberRoleView>, Problem> {
    let command = Command::SetRole {
        chat,
        user,
        role: new.role.into(),
    };
    match caller.execute(command).await? {
        Reply::RoleSet(change) => Ok(Json(MemberRoleView {
            chat: change.chat,
            user: change.user.id,
            role: change.role.into(),
        })),
        _ => Err(wrong_reply().into()),
    }
}

/// Mute a member
///
/// It receives and reads, but does not write, change the chat, add or remove others. The mute stays
/// when the user leaves and comes back. A user that is no member is muted when it comes.
#[utoipa::path(
    put, path = "/chats/{chat}/mutes/{user}", operation_id = "muteUser", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    request_body = Term,
    responses(
        (status = 200, description = "The mute.", body = SanctionView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn mute(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
    Body(term): Body<Term>,
) -> Result<Json<SanctionView>, Problem> {
    let term = term.read()?;
    sanction(
        caller
            .execute(Command::MuteUser { chat, user, term })
            .await?,
    )
}

/// Lift a mute
#[utoipa::path(
    delete, path = "/chats/{chat}/mutes/{user}", operation_id = "unmuteUser", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    responses((status = 204, description = "The user is not muted."), CommonErrors, NotFoundError)
)]
pub async fn unmute(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    let term = SanctionTerm::Lifted;
    caller
        .execute(Command::MuteUser { chat, user, term })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ban a user
///
/// A membership ends. Until the ban ends or is lifted, the user does not see the chat, open or not,
/// and cannot join it or be added.
#[utoipa::path(
    put, path = "/chats/{chat}/bans/{user}", operation_id = "banUser", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    request_body = Term,
    responses(
        (status = 200, description = "The ban.", body = SanctionView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn ban(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
    Body(term): Body<Term>,
) -> Result<Json<SanctionView>, Problem> {
    let term = term.read()?;
    sanction(
        caller
            .execute(Command::BanUser { chat, user, term })
            .await?,
    )
}

/// Lift a ban
#[utoipa::path(
    delete, path = "/chats/{chat}/bans/{user}", operation_id = "unbanUser", tag = "chats",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        ("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")
    ),
    responses((status = 204, description = "The user is not banned."), CommonErrors, NotFoundError)
)]
pub async fn unban(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    let term = SanctionTerm::Lifted;
    caller
        .execute(Command::BanUser { chat, user, term })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the bans of a chat
#[utoipa::path(
    get, path = "/chats/{chat}/bans", operation_id = "listBans", tag = "chats",
    params(("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat.")),
    responses(
        (status = 200, description = "All bans in force.", body = BanList),
        CommonErrors, NotFoundError
    )
)]
pub async fn list_bans(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
) -> Result<Json<BanList>, Problem> {
    match caller.execute(Command::ListBans { chat }).await? {
        Reply::Bans(bans) => Ok(Json(BanList {
            bans: bans.into_iter().map(BanView::from).collect(),
        })),
        _ => Err(wrong_reply().into()),
    }
}

fn sanction(reply: Reply) -> Result<Json<SanctionView>, Problem> {
    match reply {
        Reply::Muted(change) | Reply::Banned(change) => Ok(Json(SanctionView::of(&change))),
        _ => Err(wrong_reply().into()),
    }
}
