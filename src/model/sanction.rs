//! The rights of the members of a chat: roles, mutes and bans.
//! Does not know what a role allows: `service::access` does.

use jiff::Timestamp;

use super::{ChatId, ChatPk, EventPk, MembersVersion, Policy, UserId};

/// The role of a member in a chat, ordered by rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberRole {
    /// Receives and reads.
    Reader,
    /// Writes, too.
    #[default]
    Member,
    /// Keeps order among members.
    Moderator,
    /// Decides on everything.
    Owner,
}

impl MemberRole {
    /// Every role, by rank.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Member, Self::Moderator, Self::Owner];

    /// The role as requests and documents name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// The role of this name; `None`: there is none.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A mute or a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sanction {
    /// Its end; `None`: it has none.
    pub until: Option<Timestamp>,
}

impl Sanction {
    /// Whether it is in force at this time: at its end it is not any more.
    pub fn applies(self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// For how long a mute or a ban is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanctionTerm {
    /// It is lifted.
    Lifted,
    /// From now on for so many seconds.
    Seconds(i64),
    /// Without end.
    Endless,
}

impl SanctionTerm {
    /// The term of a request: 0 lifts the sanction, without a number it has no end.
    pub const fn of(seconds: Option<i64>) -> Self {
        match seconds {
            None => Self::Endless,
            Some(0) => Self::Lifted,
            Some(seconds) => Self::Seconds(seconds),
        }
    }
}

/// The rights in a chat: what every decision about them depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRights {
    /// The chat.
    pub chat: ChatId,
    /// Its small integer.
    pub pk: ChatPk,
    /// Its visibility, and the right to join.
    pub policy: Policy,
    /// The user that created it: of [`super::Chat::owner`].
    pub creator: Option<UserId>,
    /// The event, if it is an event's chat.
    pub event: Option<EventPk>,
    /// The version of `members` and `bans`.
    pub version: MembersVersion,
    /// The members, in the order of joining.
    pub members: Vec<MemberRights>,
    /// The bans, by the user's id; those that have ended as well.
    pub bans: Vec<Ban>,
}

/// The rights of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRights {
    /// The member.
    pub user: UserId,
    /// The stored role.
    pub role: MemberRole,
    /// The mute, which may have ended.
    pub mute: Option<Sanction>,
}

impl MemberRights {
    /// Those of a new member for which nothing is kept.
    pub const fn of_new_member(user: UserId) -> Self {
        Self {
            user,
            role: MemberRole::Member,
            mute: None,
        }
    }

    /// What is kept of them while the user is no member: the mute, and the role `Reader`. Every other
    /// role ends with the membership. `None`: nothing is kept.
    pub fn kept(self) -> Option<Self> {
        let kept = Self {
            role: self.role.min(MemberRole::Member),
            ..self
        };
        (kept != Self::of_new_member(self.user)).then_some(kept)
    }
}

/// A ban of one user from one chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// The banned user.
    pub user: UserId,
    /// Its end.
    pub sanction: Sanction,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_by_rank_and_found_by_name() {
        assert!(MemberRole::ALL.is_sorted());
        for role in MemberRole::ALL {
            assert_eq!(MemberRole::of_name(role.name()), Some(role));
        }
        assert_eq!(MemberRole::of_name("Owner"), None);
    }

    #[test]
    fn a_mute_and_the_role_reader_outlive_a_membership() {
        let user = UserId::from_bytes([1; 16]);
        let rights = |role, mute| MemberRights { user, role, mute };
        let mute = Some(Sanction { until: None });
        for role in MemberRole::ALL {
            let reader = role == MemberRole::Reader;
            let kept = rights(role.min(MemberRole::Member), mute);
            assert_eq!(rights(role, mute).kept(), Some(kept));
            let kept = reader.then_some(rights(MemberRole::Reader, None));
            assert_eq!(rights(role, None).kept(), kept);
        }
    }

    #[test]
    fn a_sanction_ends_at_its_end() {
        let sanction = |until| Sanction { until };
        let end = Timestamp::from_second(9).expect("a time");
        let before = Timestamp::from_second(8).expect("a time");
        assert!(sanction(Some(end)).applies(before));
        assert!(!sanction(Some(end)).applies(end));
        assert!(sanction(None).applies(Timestamp::MAX));
    }
}
