//! Changes of the members of a chat and of their rights as documents on the wire.
//! Does not know headers: the chat is passed in from there.

use std::sync::Arc;

use mongodb::bson::RawDocumentBuf;
use mongodb::bson::raw::cstr;

use super::UnknownContent;
use super::fields::{Fields, date, other_value};
use super::users::user;
use crate::model::{ChatId, MemberRole, Membership, Policy, RoleChange, Sanction, SanctionChange};

/// A membership as a document, without its chat; the head as well, which a ban has in no header.
pub(super) fn membership(membership: &Membership) -> RawDocumentBuf {
    let Membership {
        chat: _,
        chat_pk,
        policy,
        user: member,
        version,
        head,
    } = membership;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("pk"), *chat_pk);
    fields.append(cstr!("policy"), policy.name());
    fields.append(cstr!("user"), user(member));
    fields.append(cstr!("version"), *version);
    fields.append(cstr!("head"), *head);
    fields
}

/// The membership of a document.
pub(super) fn read_membership(
    fields: Fields<'_>,
    chat: ChatId,
) -> Result<Membership, UnknownContent> {
    let policy = fields.get::<&str>("policy")?;
    let mut policies = [Policy::Closed, Policy::Open].into_iter();
    let policy = policies.find(|known| known.name() == policy);
    Ok(Membership {
        chat,
        chat_pk: fields.get("pk")?,
        policy: policy.ok_or_else(|| other_value("policy"))?,
        user: fields.get("user")?,
        version: fields.get("version")?,
        head: fields.get("head")?,
    })
}

/// A change of a role as a document, without its chat.
pub(super) fn role_change(change: &RoleChange) -> RawDocumentBuf {
    let RoleChange {
        chat: _,
        user: member,
        role,
        version,
    } = change;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("user"), user(member));
    fields.append(cstr!("role"), role.name());
    fields.append(cstr!("version"), *version);
    fields
}

/// The change of a document.
pub(super) fn read_role_change(
    fields: Fields<'_>,
    chat: ChatId,
) -> Result<RoleChange, UnknownContent> {
    let role = MemberRole::of_name(fields.get("role")?);
    Ok(RoleChange {
        chat,
        user: fields.get("user")?,
        role: role.ok_or_else(|| other_value("role"))?,
        version: fields.get("version")?,
    })
}

/// A change of a mute or a ban as a document, without its chat.
pub(super) fn sanction_change(change: &SanctionChange) -> RawDocumentBuf {
    let SanctionChange {
        chat: _,
        user: concerned,
        sanction,
        left,
        to_user,
        version,
    } = change;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("user"), user(concerned));
    if let Some(Sanction { until }) = *sanction {
        let mut sanction = RawDocumentBuf::new();
        if let Some(until) = until {
            sanction.append(cstr!("until"), date(until));
        }
        fields.append(cstr!("sanction"), &sanction);
    }
    if let Some(left) = left {
        fields.append(cstr!("left"), membership(left));
    }
    fields.append(cstr!("to_user"), *to_user);
    fields.append(cstr!("version"), *version);
    fields
}

/// The change of a document.
pub(super) fn read_sanction_change(
    fields: Fields<'_>,
    chat: ChatId,
) -> Result<SanctionChange, UnknownContent> {
    let left = fields.find("left")?;
    let left = left.map(|fields| read_membership(fields, chat).map(Arc::new));
    let sanction = fields.find::<Fields<'_>>("sanction")?;
    let sanction = sanction.map(|fields| fields.find("until").map(|until| Sanction { until }));
    Ok(SanctionChange {
        chat,
        user: fields.get("user")?,
        sanction: sanction.transpose()?,
        left: left.transpose()?,
        to_user: fields.get("to_user")?,
        version: fields.get("version")?,
    })
}
