//! Roles, mutes and bans: from an event to a command, and from a change to JSON.
//! Does not check rights: the service does.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{Named, NamedUser, named_user, one_chat};
use crate::gateway::dialect::decode::{Field, Object, Text, Whole, missing};
use crate::gateway::dialect::timestamps::optional_time;
use crate::hub::Body;
use crate::model::{
    ChatId, ChatRef, Command, Error, MemberRole, RoleChange, SanctionChange, SanctionTerm, UserId,
    UserRef,
};

/// `set-role`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SetRole<'a> {
    #[serde(borrow)]
    room: Field<Text<'a>>,
    #[serde(borrow)]
    chat: Field<Object<Named<'a>>>,
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
    #[serde(borrow)]
    role: Field<Text<'a>>,
}

/// `mute-user` and `ban-user`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SanctionUser<'a> {
    #[serde(borrow)]
    room: Field<Text<'a>>,
    #[serde(borrow)]
    chat: Field<Object<Named<'a>>>,
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
    seconds: Field<Whole<0>>,
}

pub(super) fn set_role(request: &SetRole<'_>) -> Result<Command, Error> {
    let chat = chat(&request.room, &request.chat)?;
    let user = user(&request.user)?;
    let Text(role) = request.role.required("role")?;
    let role = MemberRole::of_name(role);
    let why = "must be reader, member, moderator or owner";
    Ok(Command::SetRole {
        chat,
        user,
        role: role.ok_or_else(|| Error::invalid("role", why))?,
    })
}

pub(super) fn mute_user(request: &SanctionUser<'_>) -> Result<Command, Error> {
    let (chat, user, term) = request.read()?;
    Ok(Command::MuteUser { chat, user, term })
}

pub(super) fn ban_user(request: &SanctionUser<'_>) -> Result<Command, Error> {
    let (chat, user, term) = request.read()?;
    Ok(Command::BanUser { chat, user, term })
}

impl SanctionUser<'_> {
    fn read(&self) -> Result<(ChatRef, UserRef, SanctionTerm), Error> {
        let chat = chat(&self.room, &self.chat)?;
        let user = user(&self.user)?;
        let seconds = self.seconds.get("seconds")?;
        let term = SanctionTerm::of(seconds.map(|Whole(seconds)| *seconds));
        Ok((chat, user, term))
    }
}

fn chat(room: &Field<Text<'_>>, chat: &Field<Object<Named<'_>>>) -> Result<ChatRef, Error> {
    let room = room.get("room")?.map(|Text(room)| *room);
    one_chat(room, chat)
}

fn user(user: &Field<Object<NamedUser<'_>>>) -> Result<UserRef, Error> {
    named_user(user)?.ok_or_else(|| missing("user.id"))
}

/// A change of a role.
pub(super) fn role_set(change: &RoleChange) -> Arc<Body> {
    Body::of(&RoleBody {
        room: change.chat,
        user_id: change.user.id,
        role: change.role.name(),
    })
}

/// A change of a mute.
pub(super) fn muted(change: &SanctionChange) -> Arc<Body> {
    Body::of(&MuteBody {
        room: change.chat,
        user_id: change.user.id,
        muted: change.sanction.is_some(),
        until: until(change),
    })
}

/// A change of a ban.
pub(super) fn banned(change: &SanctionChange) -> Arc<Body> {
    Body::of(&BanBody {
        room: change.chat,
        user_id: change.user.id,
        banned: change.sanction.is_some(),
        until: until(change),
    })
}

fn until(change: &SanctionChange) -> Option<Timestamp> {
    change.sanction.and_then(|sanction| sanction.until)
}

#[derive(Serialize)]
struct RoleBody {
    room: ChatId,
    user_id: UserId,
    role: &'static str,
}

#[derive(Serialize)]
struct MuteBody {
    room: ChatId,
    user_id: UserId,
    muted: bool,
    /// Null without an end, too.
    #[serde(serialize_with = "optional_time")]
    until: Option<Timestamp>,
}

#[derive(Serialize)]
struct BanBody {
    room: ChatId,
    user_id: UserId,
    banned: bool,
    /// Null without an end, too.
    #[serde(serialize_with = "optional_time")]
    until: Option<Timestamp>,
}
