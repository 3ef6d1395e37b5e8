//! Caches users and their chats: a user that reconnects costs no read of the store.
//! Does not check rights and does not read the store.
//!
//! The cache is correct because each method that changes a membership, a chat or a user records that
//! here ([`Changing`], [`UserCache::profile_changed`]) before the change is announced, and `recent.rs` keeps older
//! answers out afterwards. A change of another node is recorded when its notice comes (`remote.rs`), so, as the member
//! lists of `memberships.rs` and `heads.rs`, the cache is used only while the other nodes are heard ([`Trust`]).

use std::sync::Arc;

use jiff::Timestamp;

use super::recent::{Recent, Stamp};
use super::trust::Trust;
use crate::model::{ChatId, MembersVersion, Profile, User, UserId, UserPk};

/// How much is remembered of users, and of their chats, in bytes each.
const BYTES: usize = 32 * 1024 * 1024;

/// Users by their external ids, and the chats of users.
pub(super) struct UserCache {
    users: Recent<Box<str>, Arc<Remembered>>,
    chats: Recent<UserId, UserMemberships>,
    trust: Trust,
}

impl Default for UserCache {
    fn default() -> Self {
        Self::within(BYTES)
    }
}

/// The chats of a user, each with the version of its members.
pub type UserMemberships = Arc<[(ChatId, MembersVersion)]>;

/// A change of these users' chats that is under way. Dropped after the store has answered, whatever
/// it did, and before anything is announced: from then on their chats are not cached.
pub(super) struct Changing<'a> {
    cache: &'a UserCache,
    users: Vec<UserId>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        for user in &self.users {
            self.cache.chats.changed(user);
        }
    }
}

/// A user that is known without a read of the store.
pub(super) struct Known {
    pub(super) id: UserId,
    pub(super) pk: UserPk,
    /// See [`User::revoked_before`].
    pub(super) revoked_before: Option<Timestamp>,
}

/// The stamps before a user is created or changed, for [`UserCache::written`].
pub(super) struct Before {
    user: Stamp,
    chats: Stamp,
}

impl UserCache {
    /// An empty cache, of so many bytes of users and as many of chats.
    fn within(bytes: usize) -> Self {
        Self {
            users: Recent::new(bytes, |external_id, remembered| {
                size_of::<Remembered>() + external_id.len() + remembered.texts.len()
            }),
            chats: Recent::new(bytes, |_, chats| size_of_val(&**chats)),
            trust: Trust::default(),
        }
    }

    /// The same cache, used as long as this holds.
    pub(super) fn with_trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// The user of this external id, if its profile in the store has the fields claimed here.
    /// Otherwise the stamp before a read of the store.
    pub(super) fn user(&self, external_id: &str, profile: &Profile) -> Result<Known, Stamp> {
        let (found, stamp) = self.users.look(external_id);
        let found = found.filter(|found| self.trust.holds() && found.matches(profile));
        let known = found.map(|found| Known {
            id: found.id,
            pk: found.pk,
            revoked_before: found.revoked_before,
        });
        known.ok_or(stamp)
    }

    /// The store was read since `stamp`, and had this user.
    pub(super) fn read(&self, user: &User, stamp: Stamp) {
        if let Some(remembered) = Remembered::of(user) {
            let key = user.external_id.as_str().into();
            self.users.keep(key, Arc::new(remembered), stamp);
        }
    }

    /// The stamps before a user is written that may be new, with this id.
    pub(super) fn before_writing(&self, external_id: &str, id: UserId) -> Before {
        Before {
            user: self.users.look(external_id).1,
            chats: self.chats.look(&id).1,
        }
    }

    /// The store has written this user since; a new one has this `id`, and is in no chat.
    pub(super) fn written(&self, user: &User, id: UserId, before: &Before) {
        match Remembered::of(user) {
            Some(remembered) => {
                let key = user.external_id.as_str().into();
                self.users.replace(key, Arc::new(remembered), before.user);
            }
            None => self.profile_changed(&user.external_id),
        }
        if user.id == id {
            self.chats.keep(id, Arc::new([]), before.chats);
        }
    }

    /// The store has, or may have, another profile of this user, or other tokens are revoked.
    pub(super) fn profile_changed(&self, external_id: &str) {
        self.users.changed(external_id);
    }

    /// The chats of this user, or the stamp before a read of the store.
    pub(super) fn chats(&self, user: UserId) -> Result<UserMemberships, Stamp> {
        let (chats, stamp) = self.chats.look(&user);
        chats.filter(|_| self.trust.holds()).ok_or(stamp)
    }

    /// The store was read since `stamp`, and had these chats of the user.
    pub(super) fn read_chats(&self, user: UserId, chats: &UserMemberships, stamp: Stamp) {
        self.chats.keep(user, Arc::clone(chats), stamp);
    }

    /// Before the store changes the chats of these users.
    pub(super) fn changing(&self, users: &[UserId]) -> Changing<'_> {
        Changing {
            cache: self,
            users: users.to_vec(),
        }
    }

    /// The chats of this user have changed, by another node.
    pub(super) fn chats_changed(&self, user: UserId) {
        self.chats.changed(&user);
    }

    /// Anything may have changed.
    pub(super) fn all_changed(&self) {
        self.users.forget_all();
        self.chats.forget_all();
    }

    /// Chats were deleted of which the members are not known. An id of a chat is never given out
    /// twice, so a subscription to one that was deleted meanwhile receives nothing.
    pub(super) fn chats_deleted(&self) {
        self.chats.forget_all();
    }
}

/// The fields of a user to compare with the claims of a token. There may be as many as there are
/// connections, so it is packed.
struct Remembered {
    id: UserId,
    pk: UserPk,
    /// All fields of the profile, one after the other.
    texts: Box<str>,
    /// Where each ends.
    ends: [u16; FIELDS],
    /// Whether there is a picture's id, of whatever length.
    has_image: bool,
    revoked_before: Option<Timestamp>,
}

/// How many fields a profile has.
const FIELDS: usize = 5;

impl Remembered {
    /// `None`: it is too long to be remembered.
    fn of(user: &User) -> Option<Self> {
        let image = user.image_uuid.as_deref();
        let fields = [
            &*user.username,
            &*user.name,
            &*user.avatar,
            &*user.github,
            image.unwrap_or_default(),
        ];
        let mut texts = String::with_capacity(fields.iter().map(|field| field.len()).sum());
        let mut ends = [0; FIELDS];
        for (field, end) in fields.into_iter().zip(&mut ends) {
            texts.push_str(field);
            *end = u16::try_from(texts.len()).ok()?;
        }
        Some(Self {
            id: user.id,
            pk: user.pk,
            texts: texts.into(),
            ends,
            has_image: image.is_some(),
            revoked_before: user.revoked_before,
        })
    }

    /// Whether the user's profile has all fields that are claimed here.
    fn matches(&self, claims: &Profile) -> bool {
        let Profile {
            username,
            name,
            avatar,
            github,
            image_uuid,
        } = claims;
        if image_uuid.is_some() && !self.has_image {
            return false;
        }
        let mut begin = 0;
        let claims = [username, name, avatar, github, image_uuid];
        claims.into_iter().zip(self.ends).all(|(claim, end)| {
            let field = self.texts.get(begin..end.into());
            begin = end.into();
            claim.is_none() || claim.as_deref() == field
        })
    }
}

#[cfg(test)]
#[path = "user_cache_tests.rs"]
mod tests;
