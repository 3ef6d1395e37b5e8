//! The members of a chat, with the fields that rights depend on.
//! Does not decide what they may do.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::model::{
    Ban, ChatId, ChatRights, MemberRights, MemberRole, MembersVersion, Policy, Sanction, UserId,
};

/// The members of a chat and its bans. It may be cached: whether a sanction still applies is judged by
/// the time of the request.
#[derive(Debug, Clone)]
pub struct MemberList {
    chat: ChatId,
    policy: Policy,
    creator: Option<UserId>,
    of_event: bool,
    members: HashSet<UserId>,
    /// Only those that are not [`MemberRole::Member`].
    roles: HashMap<UserId, MemberRole>,
    mutes: HashMap<UserId, Sanction>,
    bans: HashMap<UserId, Sanction>,
    version: MembersVersion,
}

impl MemberList {
    /// The version of the members in the store.
    pub fn version(&self) -> MembersVersion {
        self.version
    }

    /// The chat.
    pub fn chat(&self) -> ChatId {
        self.chat
    }

    /// Whether every user may see it.
    pub fn is_open(&self) -> bool {
        self.policy == Policy::Open
    }

    /// Whether this user is a member.
    pub fn has(&self, user: UserId) -> bool {
        self.members.contains(&user)
    }

    /// Whether it is an event's chat: its two members are fixed.
    pub fn is_of_event(&self) -> bool {
        self.of_event
    }

    /// Whether this user has created it.
    pub fn is_creator(&self, user: UserId) -> bool {
        self.creator == Some(user)
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The number of users with an entry in it.
    pub fn weight(&self) -> usize {
        self.members.len() + self.roles.len() + self.mutes.len() + self.bans.len()
    }

    /// The rank of this user; `None`: it is no member. The creator has the highest one, member or not.
    pub fn rank(&self, user: UserId) -> Option<MemberRole> {
        if self.is_creator(user) && !self.of_event {
            return Some(MemberRole::Owner);
        }
        let role = || self.roles.get(&user).copied().unwrap_or_default();
        self.has(user).then(role)
    }

    /// The mute of this member that applies at this time.
    pub fn mute(&self, user: UserId, at: Timestamp) -> Option<Sanction> {
        let mute = self.mutes.get(&user).copied();
        mute.filter(|mute| mute.applies(at))
    }

    /// The ban of this user that applies at this time.
    pub fn ban(&self, user: UserId, at: Timestamp) -> Option<Sanction> {
        let ban = self.bans.get(&user).copied();
        ban.filter(|ban| ban.applies(at))
    }

    /// The bans that apply at this time, by the user's id.
    pub fn bans(&self, at: Timestamp) -> Vec<Ban> {
        let applying = self.bans.iter().filter(|(_, ban)| ban.applies(at));
        let bans = applying.map(|(user, sanction)| Ban {
            user: *user,
            sanction: *sanction,
        });
        let mut bans: Vec<_> = bans.collect();
        bans.sort_unstable_by_key(|ban| ban.user);
        bans
    }
}

impl From<ChatRights> for MemberList {
    fn from(rights: ChatRights) -> Self {
        let members = rights.members.iter();
        let roles = members
            .clone()
            .filter(|member| member.role != MemberRole::default());
        let mute = |member: &MemberRights| Some((member.user, member.mute?));
        Self {
            chat: rights.chat,
            policy: rights.policy,
            creator: rights.creator,
            of_event: rights.event.is_some(),
            version: rights.version,
            roles: roles.map(|member| (member.user, member.role)).collect(),
            mutes: members.clone().filter_map(mute).collect(),
            members: members.map(|member| member.user).collect(),
            bans: rights
                .bans
                .iter()
                .map(|ban| (ban.user, ban.sanction))
                .collect(),
        }
    }
}

/// The members of a chat with their ranks in place of the stored roles.
pub fn with_ranks(rights: ChatRights) -> Vec<MemberRights> {
    let creator = rights.creator.filter(|_| rights.event.is_none());
    let members = rights.members.into_iter();
    let ranked = members.map(|member| {
        let role = if creator == Some(member.user) {
            MemberRole::Owner
        } else {
            member.role
        };
        MemberRights { role, ..member }
    });
    ranked.collect()
}
