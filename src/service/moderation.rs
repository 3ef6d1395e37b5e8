//! Roles, mutes and bans.
//! Does not check rights: `access` does.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Service;
use super::access::{self, Actor};
use super::audit::Act;
use super::members::{membership, no_member};
use crate::model::{
    AuditAct, ChatId, ChatRef, Error, Fact, Identity, MemberRole, Reply, RoleChange, Sanction,
    SanctionChange, SanctionTerm, User, UserId, UserRef,
};

impl Service {
    pub(super) async fn set_role(
        &self,
        identity: &Identity,
        chat: ChatRef,
        user: UserRef,
        role: MemberRole,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        let user = self.id_of(user).await?;
        let _in_order = self.memberships.in_order(id).await;
        let members = self.visible(actor, &chat).await?;
        access::may_set_role(actor, user, role, &members, self.clock.now())?;
        // A rank ends with the membership; that a user is a reader is kept for the next one.
        if role > MemberRole::Member && !members.has(user) {
            return Err(no_member(user));
        }
        let concerned = Arc::new(self.user(user).await?);
        let act = Act::of_user(AuditAct::SetRole, id, user);
        let audit = self.audit(actor, act.with([("role", role.name().into())]));
        let set = self.store.set_role(id, user, role, audit);
        let set = self.changing_members(identity, id, &[], set).await?;
        let (changed, chat) = set.ok_or_else(|| access::no_chat(&chat))?;
        let change = Arc::new(RoleChange {
            chat: id,
            user: concerned,
            role,
            version: chat.members_version,
        });
        if changed {
            self.publish(identity, Fact::RoleSet(Arc::clone(&change)))
                .await;
        }
        Ok(Reply::RoleSet(change))
    }

    pub(super) async fn mute_user(
        &self,
        identity: &Identity,
        chat: ChatRef,
        user: UserRef,
        term: SanctionTerm,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        let user = self.id_of(user).await?;
        let _in_order = self.memberships.in_order(id).await;
        let members = self.visible(actor, &chat).await?;
        let at = self.clock.now();
        access::may_sanction(actor, user, &members, at)?;
        let to_user = members.has(user);
        let mute = sanction(term, at)?;
        let concerned = Arc::new(self.user(user).await?);
        let audit = self.audit(actor, sanctioned(AuditAct::MuteUser, id, user, mute));
        let set = self.store.set_mute(id, user, mute, audit);
        let set = self.changing_members(identity, id, &[], set).await?;
        let (changed, chat) = set.ok_or_else(|| access::no_chat(&chat))?;
        let change = Arc::new(SanctionChange {
            chat: id,
            user: concerned,
            sanction: mute,
            left: None,
            to_user,
            version: chat.members_version,
        });
        if changed {
            self.publish(identity, Fact::Muted(Arc::clone(&change)))
                .await;
        }
        Ok(Reply::Muted(change))
    }

    pub(super) async fn ban_user(
        &self,
        identity: &Identity,
        chat: ChatRef,
        user: UserRef,
        term: SanctionTerm,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let id = self.visible(actor, &chat).await?.chat();
        let user = self.id_of(user).await?;
        let _in_order = self.memberships.in_order(id).await;
        let members = self.visible(actor, &chat).await?;
        let at = self.clock.now();
        access::may_sanction(actor, user, &members, at)?;
        let ban = sanction(term, at)?;
        let concerned = Arc::new(self.user(user).await?);
        let is_open = members.is_open();
        let change = self
            .ban(identity, actor, (id, is_open), concerned, ban)
            .await?;
        let change = change.ok_or_else(|| access::no_chat(&chat))?;
        Ok(Reply::Banned(change))
    }

    /// Bans a user, or lifts the ban, and publishes that. `None`: there is no such chat.
    async fn ban(
        &self,
        identity: &Identity,
        actor: Actor,
        (chat, is_open): (ChatId, bool),
        concerned: Arc<User>,
        ban: Option<Sanction>,
    ) -> Result<Option<Arc<SanctionChange>>, Error> {
        let user = concerned.id;
        let audit = self.audit(actor, sanctioned(AuditAct::BanUser, chat, user, ban));
        let set = async {
            let at = self.clock.now();
            self.store.set_ban(chat, user, ban, at, audit).await
        };
        let set = self.changing_members(identity, chat, &[user], set).await?;
        let Some(outcome) = set else {
            return Ok(None);
        };
        let (changed, version) = (outcome.changed, outcome.chat.members_version);
        let left = outcome
            .removed
            .then(|| Arc::new(membership(&outcome.chat, &concerned)));
        let notice = async {
            let change = Arc::new(SanctionChange {
                chat,
                user: concerned,
                sanction: ban,
                to_user: is_open || left.is_some(),
                left,
                version,
            });
            let fact = if changed {
                Fact::Banned(Arc::clone(&change))
            } else {
                Fact::MembersConfirmed(outcome.chat.clone())
            };
            Ok((change, fact))
        };
        let change = self.publish_members(identity, chat, notice).await?;
        if outcome.removed {
            let lists = &self.member_lists;
            lists.changed(identity.connection, &outcome.chat).await;
        }
        Ok(Some(change))
    }

    pub(super) async fn list_bans(
        &self,
        identity: &Identity,
        chat: ChatRef,
    ) -> Result<Reply, Error> {
        let actor = access::actor(identity, None)?;
        let members = self.visible(actor, &chat).await?;
        let at = self.clock.now();
        access::may_see_bans(actor, &members, at)?;
        Ok(Reply::Bans(members.bans(at)))
    }
}

/// The sanction for this term from now on; `None`: it is lifted.
fn sanction(term: SanctionTerm, now: Timestamp) -> Result<Option<Sanction>, Error> {
    let until = match term {
        SanctionTerm::Lifted => return Ok(None),
        SanctionTerm::Endless => None,
        SanctionTerm::Seconds(seconds) => {
            let end = now.checked_add(SignedDuration::from_secs(seconds));
            let late = |_| Error::invalid("seconds", "ends beyond the year 9999");
            Some(end.map_err(late)?)
        }
    };
    Ok(Some(Sanction { until }))
}

fn sanctioned(act: AuditAct, chat: ChatId, user: UserId, sanction: Option<Sanction>) -> Act {
    let applies = ("applies", Value::from(sanction.is_some()));
    let until = sanction.and_then(|sanction| sanction.until);
    let until = until.map(|until| ("until", format!("{until:.3}").into()));
    let detail = [applies].into_iter().chain(until);
    Act::of_user(act, chat, user).with(detail)
}

#[cfg(test)]
#[path = "moderation_tests.rs"]
mod tests;
