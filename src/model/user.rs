//! A user, and the profile.
//! Does not know tokens, rights and field names of any dialect.

use jiff::Timestamp;

use super::{AuditRecord, NewPk, UserId, UserPk};

/// The default avatar; the server serves it.
const DEFAULT_AVATAR: &str = "/media/default/default.jpg";

/// A user of the chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id that polychat gave.
    pub id: UserId,
    /// The same as a small integer.
    pub pk: UserPk,
    /// The id in the host application; unique.
    pub external_id: String,
    /// The handle; at first the external id.
    pub username: String,
    /// The name to show; at first the username.
    pub name: String,
    /// Where the picture is.
    pub avatar: String,
    /// The account on GitHub, or empty.
    pub github: String,
    /// The picture's id in the host application.
    pub image_uuid: Option<String>,
    /// When the user was first seen.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub modified_at: Timestamp,
    /// Tokens that were issued earlier are not valid; `None`: none was revoked.
    pub revoked_before: Option<Timestamp>,
}

/// How a request names a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserRef {
    /// By its id.
    Id(UserId),
    /// By its small integer.
    Pk(UserPk),
    /// By its id in the host application.
    External(String),
}

impl UserRef {
    /// The id, if that is the name.
    pub const fn id(&self) -> Option<UserId> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Pk(_) | Self::External(_) => None,
        }
    }
}

impl From<UserId> for UserRef {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

impl std::fmt::Display for UserRef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(out),
            Self::Pk(pk) => pk.fmt(out),
            Self::External(external_id) => write!(out, "external:{external_id}"),
        }
    }
}

/// Some users, by their integer ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// After which number the next page begins, if there is one.
    pub next: Option<UserPk>,
}

/// The fields of a user that a client may set; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// See [`User::username`].
    pub username: Option<String>,
    /// See [`User::name`].
    pub name: Option<String>,
    /// See [`User::avatar`].
    pub avatar: Option<String>,
    /// See [`User::github`].
    pub github: Option<String>,
    /// See [`User::image_uuid`].
    pub image_uuid: Option<String>,
}

/// A user to find by its external id, or to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The id to take if the user is new.
    pub id: UserId,
    /// The integer id to take if the user is new.
    pub pk: NewPk,
    /// The id in the host application.
    pub external_id: String,
    /// The fields to set, on a new user and on an existing one.
    pub profile: Profile,
    /// Now.
    pub at: Timestamp,
    /// The record of a changed profile; the store completes it ([`AuditRecord::of_user`]).
    pub audit: Option<AuditRecord>,
}

impl NewUser {
    /// The new user with this `pk` from the store, if there is none yet.
    pub fn into_user(self, pk: UserPk) -> User {
        let username = self.profile.username.unwrap_or(self.external_id.clone());
        User {
            id: self.id,
            pk,
            external_id: self.external_id,
            name: self.profile.name.unwrap_or_else(|| username.clone()),
            username,
            avatar: self.profile.avatar.unwrap_or(DEFAULT_AVATAR.to_owned()),
            github: self.profile.github.unwrap_or_default(),
            image_uuid: self.profile.image_uuid,
            created_at: self.at,
            modified_at: self.at,
            revoked_before: None,
        }
    }
}

impl User {
    /// Whether every given field of the profile is set already.
    pub fn has(&self, profile: &Profile) -> bool {
        let Profile {
            username,
            name,
            avatar,
            github,
            image_uuid,
        } = profile;
        let is = |claim: &Option<String>, field| claim.as_ref().is_none_or(|claim| claim == field);
        is(username, &self.username)
            && is(name, &self.name)
            && is(avatar, &self.avatar)
            && is(github, &self.github)
            && (image_uuid.is_none() || *image_uuid == self.image_uuid)
    }

    /// Takes over the given fields of the profile; `modified_at` moves only if one changes.
    /// Returns whether one did.
    pub fn update(&mut self, profile: Profile, at: Timestamp) -> bool {
        let changed = !self.has(&profile);
        let Profile {
            username,
            name,
            avatar,
            github,
            image_uuid,
        } = profile;
        replace(&mut self.username, username);
        replace(&mut self.name, name);
        replace(&mut self.avatar, avatar);
        replace(&mut self.github, github);
        if image_uuid.is_some() {
            self.image_uuid = image_uuid;
        }
        if changed {
            self.modified_at = at.max(self.modified_at);
        }
        changed
    }
}

fn replace(field: &mut String, value: Option<String>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna(profile: Profile) -> User {
        let at = Timestamp::UNIX_EPOCH;
        NewUser {
            id: UserId::new(at),
            pk: NewPk::default(),
            external_id: "anna".into(),
            profile,
            at,
            audit: None,
        }
        .into_user(1)
    }

    #[test]
    fn names_default_to_the_external_id() {
        let user = anna(Profile::default());
        assert_eq!((&*user.username, &*user.name), ("anna", "anna"));
        assert_eq!(user.avatar, DEFAULT_AVATAR);
    }

    #[test]
    fn a_name_defaults_to_the_username() {
        let user = anna(Profile {
            username: Some("ann".into()),
            ..Profile::default()
        });
        assert_eq!(user.name, "ann");
    }

    #[test]
    fn modified_at_moves_only_when_something_changed() {
        let mut user = anna(Profile::default());
        let same = Profile {
            username: Some("anna".into()),
            ..Profile::default()
        };
        assert!(!user.update(same, Timestamp::MAX));
        assert_eq!(user.modified_at, Timestamp::UNIX_EPOCH);
        let other = Profile {
            github: Some("anna".into()),
            ..Profile::default()
        };
        assert!(user.update(other, Timestamp::MAX));
        assert_eq!(user.modified_at, Timestamp::MAX);
    }
}
