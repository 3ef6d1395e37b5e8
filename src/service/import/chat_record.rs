//! What is stored of a chat that is moved in: the users that it names, looked up.
//! Does not write it.

use std::collections::HashSet;

use jiff::Timestamp;

use super::users::Users;
use crate::model::{
    Access, Ban, Chat, ChatId, Error, ImportedChat, ImportedEventPart, ImportedMember,
    MemberRights, MemberRole, Policy, Sanction, UserId, UserRef,
};
use crate::service::events::no_event;
use crate::service::{Service, store_error};
use crate::store::transfer::{ChatRecord, EventPart, MemberRecord};

impl Service {
    /// What has to be written of a new chat.
    ///
    /// # Errors
    /// `NotFound`: a user or the event. `Invalid`: users that do not go together.
    pub(super) async fn record(
        &self,
        users: &mut Users<'_>,
        chat: ImportedChat,
    ) -> Result<ChatRecord, Error> {
        let pk = self.numbering.chat(chat.pk)?.chosen().unwrap_or(0);
        let (of_event, pair) = match &chat.of_event {
            Some(part) => {
                let (part, pair) = self.event_part(users, part).await?;
                (Some(part), Some(pair))
            }
            None => (None, None),
        };
        let mut members = self.members_in(users, "members", &chat.members).await?;
        if let Some(pair) = pair {
            members = of_pair(members, pair)?;
        }
        let owner = match &chat.owner {
            Some(owner) => Some(users.user(owner).await?),
            None => None,
        };
        let owner = match (owner, &pair) {
            (Some(owner), Some([of_event, _])) if owner.id != *of_event => {
                return Err(Error::invalid("owner", "is not that of the event"));
            }
            (Some(owner), _) => Some(owner.pk),
            (None, Some([of_event, _])) => Some(self.user(*of_event).await?.pk),
            (None, None) => None,
        };
        let bans = self.bans_in(users, &chat.bans).await?;
        let kept = self.members_in(users, "kept", &chat.kept).await?;
        let kept = kept.into_iter().map(|kept| MemberRights {
            user: kept.user,
            role: kept.role,
            mute: kept.mute,
        });
        let created_at = chat.created_at.unwrap_or_else(|| self.clock.now());
        let modified_at = chat.modified_at.unwrap_or(created_at);
        Ok(ChatRecord {
            chat: Chat {
                id: chat.id.unwrap_or_else(|| ChatId::new(created_at)),
                pk,
                external_id: chat.external_id,
                name: chat.name,
                policy: chat.policy.unwrap_or(Policy::Closed),
                owner,
                team: chat.team,
                event: chat.of_event.map(|part| part.event),
                members: members.iter().map(|member| member.user).collect(),
                members_version: 0,
                head: chat.head,
                created_at,
                modified_at,
                active_at: chat.active_at.unwrap_or(modified_at),
            },
            latest_at: Timestamp::UNIX_EPOCH,
            key: chat.key,
            of_event,
            members,
            bans,
            kept: kept.collect(),
        })
    }

    /// What is stored of an event's chat, with its owner and its guest.
    async fn event_part(
        &self,
        users: &mut Users<'_>,
        part: &ImportedEventPart,
    ) -> Result<(EventPart, [UserId; 2]), Error> {
        let event = self.store.event(part.event).await.map_err(store_error)?;
        let owner = event.ok_or_else(|| no_event(part.event))?.owner.id;
        let guest = users.id(&part.guest).await?;
        if guest == owner {
            return Err(Error::invalid("guest", "is the owner of the event"));
        }
        let access_version = i64::from(part.access != Access::Unasked);
        let part = EventPart {
            guest,
            access: part.access,
            access_version,
        };
        Ok((part, [owner, guest]))
    }

    async fn members_in(
        &self,
        users: &mut Users<'_>,
        field: &str,
        named: &[ImportedMember],
    ) -> Result<Vec<MemberRecord>, Error> {
        let mut members: Vec<MemberRecord> = Vec::with_capacity(named.len());
        for (place, member) in (0..).zip(named) {
            let user = users.id(&member.user).await?;
            members.push(MemberRecord {
                user,
                place,
                last_read: member.last_read,
                role: member.role,
                mute: member.mute,
            });
        }
        let named = named.iter().map(|member| &member.user);
        once(field, named.zip(members.iter().map(|member| member.user)))?;
        Ok(members)
    }

    async fn bans_in(
        &self,
        users: &mut Users<'_>,
        named: &[(UserRef, Sanction)],
    ) -> Result<Vec<Ban>, Error> {
        let mut bans = Vec::with_capacity(named.len());
        for (user, sanction) in named {
            let (user, sanction) = (users.id(user).await?, *sanction);
            bans.push(Ban { user, sanction });
        }
        let named = named.iter().map(|(user, _)| user);
        once("bans", named.zip(bans.iter().map(|ban| ban.user)))?;
        Ok(bans)
    }
}

/// Checks that no user stands in a list twice.
///
/// # Errors
/// `Invalid`.
fn once<'a>(field: &str, users: impl Iterator<Item = (&'a UserRef, UserId)>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (named, user) in users {
        if !seen.insert(user) {
            return Err(Error::invalid(field, &format!("names user {named} twice")));
        }
    }
    Ok(())
}

/// The members of an event's chat: its owner and its guest, also if none are given.
fn of_pair(members: Vec<MemberRecord>, pair: [UserId; 2]) -> Result<Vec<MemberRecord>, Error> {
    if members.is_empty() {
        let member = |(place, user)| MemberRecord {
            user,
            place,
            last_read: 0,
            role: MemberRole::Member,
            mute: None,
        };
        return Ok((0..).zip(pair).map(member).collect());
    }
    if members.len() != pair.len() || !members.iter().all(|it| pair.contains(&it.user)) {
        let why = "must be the owner of the event and the guest";
        return Err(Error::invalid("members", why));
    }
    Ok(members)
}
