//! Finding, creating and fetching users.
//! Does not know tokens: the identity is an argument.

use jiff::Timestamp;
use tracing::info;

use super::audit::Act;
use super::{Service, access, store_error};
use crate::model::{
    AuditAct, AuditRecord, Caller, Error, ErrorKind, Identity, Issue, NewPk, NewUser, Profile,
    Reply, Rights, Role, User, UserId, UserPage, UserPk, UserRef,
};

/// The longest external id, in characters.
const EXTERNAL_ID_CHARS: usize = 256;

/// The longest field of a profile, in bytes.
const PROFILE_BYTES: usize = 2048;

/// The maximum and default length of a page of users.
const PAGE: usize = 1000;

/// What becomes of the caller's user if there is none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomer {
    /// It is created.
    Created,
    /// It is not: its number may be that of a user to be imported.
    Unknown,
}

impl Service {
    /// The identity after the token has been checked: finds or creates its user, which takes over
    /// the token's claims. Without a caller (open mode) there is no user yet. `rights` are those of
    /// a person's token.
    ///
    /// # Errors
    /// `Unauthenticated`: the token was revoked. `Invalid`, `TooLarge`: the claims. `Unavailable`.
    pub async fn identify(
        &self,
        caller: Option<Caller>,
        rights: Rights,
    ) -> Result<(Rights, Option<UserId>), Error> {
        self.identify_as(Newcomer::Created, caller, rights).await
    }

    /// [`Self::identify`], which may leave a user that is new without one.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub async fn identify_as(
        &self,
        newcomer: Newcomer,
        caller: Option<Caller>,
        rights: Rights,
    ) -> Result<(Rights, Option<UserId>), Error> {
        self.serves().await?;
        let Some(caller) = caller else {
            return Ok((rights, None));
        };
        if newcomer == Newcomer::Unknown && !self.is_known(&caller.external_id).await? {
            let rights = match caller.role {
                Role::Service => Rights::Service,
                Role::User => rights,
            };
            return Ok((rights, None));
        }
        // In open mode there are no tokens to revoke.
        let (is_token, issued_at) = (rights == Rights::Own, caller.issued_at);
        let admits = |user: UserId, revoked_before: Option<Timestamp>| {
            let issue = Issue {
                user,
                at: issued_at,
            };
            match revoked_before {
                Some(before) if is_token && issue.is_revoked(before) => Err(access::revoked()),
                _ => Ok(()),
            }
        };
        let known = self.user_cache.user(&caller.external_id, &caller.profile);
        let new = self.numbering.claimed(&caller.external_id, caller.pk);
        let (user, pk) = if let Ok(known) = known {
            admits(known.id, known.revoked_before)?;
            (known.id, known.pk)
        } else {
            let found = self.find_or_create(caller.external_id, new, caller.profile, None, admits);
            let user = found.await?;
            (user.id, user.pk)
        };
        if let Some(claim) = new.chosen().filter(|claim| *claim != pk) {
            info!(%user, pk, claim, "the claimed number is ignored: the user has another one");
        }
        let rights = match caller.role {
            Role::Service => Rights::Service,
            Role::User => rights,
        };
        Ok((rights, Some(user)))
    }

    /// Whether there is a user of this external id.
    async fn is_known(&self, external_id: &str) -> Result<bool, Error> {
        if self
            .user_cache
            .user(external_id, &Profile::default())
            .is_ok()
        {
            return Ok(true);
        }
        let found = self.store.user_by_external_id(external_id).await;
        Ok(found.map_err(store_error)?.is_some())
    }

    pub(super) async fn create_user(
        &self,
        identity: &Identity,
        external_id: Option<String>,
        pk: Option<UserPk>,
        profile: Profile,
    ) -> Result<Reply, Error> {
        // In open mode a connection without a user becomes the one that it names.
        let becomes = identity.rights == Rights::Open
            && identity.connection.is_some()
            && identity.user.is_none();
        let own = match identity.user {
            Some(id) if !becomes => Some(self.user(id).await?.external_id),
            _ => None,
        };
        let external_id = access::external_id(identity, own.clone(), external_id)?;
        let audit = if becomes || own.as_ref() == Some(&external_id) {
            None
        } else {
            let act = changed(&profile);
            self.audit(access::actor(identity, None)?, act)
        };
        let has = |user: User| match pk {
            Some(pk) if user.pk != pk => Err(other_pk(&user)),
            _ => Ok(user),
        };
        let mut new = self.numbering.user(&external_id, None)?;
        if pk.is_some() {
            // Before the profile is updated.
            let found = self.store.user_by_external_id(&external_id).await;
            let found = found.map_err(store_error)?.map(has).transpose()?;
            if found.is_none() {
                new = self.numbering.user(&external_id, pk)?;
            }
        }
        let admits = |_, _| Ok(());
        let user = self.find_or_create(external_id, new, profile, audit, admits);
        user.await.and_then(has).map(Reply::User)
    }

    pub(super) async fn get_user(
        &self,
        identity: &Identity,
        user: UserRef,
    ) -> Result<Reply, Error> {
        match user {
            // Rights first: nothing has to be looked up for a refusal.
            UserRef::Id(id) => access::actor(identity, Some(id)).map(drop)?,
            UserRef::Pk(_) | UserRef::External(_) => {
                let id = self.id_of(user.clone()).await?;
                access::actor(identity, Some(id)).map(drop)?;
            }
        }
        self.found(user).await.map(Reply::User)
    }

    /// Every user may look up every other one: a member of a chat is shown the others, and a user
    /// has to find those that it writes to first.
    pub(super) async fn get_profile(
        &self,
        identity: &Identity,
        user: UserRef,
    ) -> Result<Reply, Error> {
        access::actor(identity, None)?;
        self.found(user).await.map(Reply::Profile)
    }

    pub(super) async fn who_am_i(&self, identity: &Identity) -> Result<Reply, Error> {
        let user = access::user(identity, None)?;
        self.user(user).await.map(Reply::Me)
    }

    pub(super) async fn update_user(
        &self,
        identity: &Identity,
        user: UserRef,
        profile: Profile,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        check_profile(&profile)?;
        let User {
            id, external_id, ..
        } = self.found(user.clone()).await?;
        let act = changed(&profile).about(id);
        let audit = self.audit(access::actor(identity, None)?, act);
        let at = self.clock.now();
        let updated = self.store.update_user(id, profile, at, audit).await;
        self.user_cache.profile_changed(&external_id);
        let updated = updated.map_err(store_error)?;
        let updated = updated.ok_or_else(|| no_user(&user))?;
        self.settlement.user_changed(&updated).await;
        Ok(Reply::User(updated))
    }

    pub(super) async fn list_users(
        &self,
        identity: &Identity,
        after: UserPk,
        limit: Option<usize>,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        // One more than requested shows whether there is a next page.
        let users = self.store.users_after(after, limit + 1).await;
        let mut users = users.map_err(store_error)?;
        let more = users.len() > limit;
        users.truncate(limit);
        let next = users.last().filter(|_| more).map(|user| user.pk);
        Ok(Reply::Users(UserPage { users, next }))
    }

    pub(super) async fn found(&self, user: UserRef) -> Result<User, Error> {
        let found = match &user {
            UserRef::Id(id) => self.store.user(*id).await,
            UserRef::Pk(pk) => self.store.user_by_pk(*pk).await,
            UserRef::External(external_id) => {
                check_external_id(external_id)?;
                self.store.user_by_external_id(external_id).await
            }
        };
        found.map_err(store_error)?.ok_or_else(|| no_user(&user))
    }

    pub(super) async fn user(&self, id: UserId) -> Result<User, Error> {
        self.found(UserRef::Id(id)).await
    }

    /// `admits` judges a user that is there by its [`User::revoked_before`], before its profile is
    /// updated. `audit`: the record, if it is created or updated.
    ///
    /// # Errors
    /// Among others `Conflict`: another user has the integer id that was chosen for a new one.
    pub(super) async fn find_or_create(
        &self,
        external_id: String,
        pk: NewPk,
        profile: Profile,
        audit: Option<AuditRecord>,
        admits: impl Fn(UserId, Option<Timestamp>) -> Result<(), Error>,
    ) -> Result<User, Error> {
        check_external_id(&external_id)?;
        check_profile(&profile)?;
        // Mostly the user is there as it should be, and a read waits for no write.
        if let Err(stamp) = self.user_cache.user(&external_id, &profile) {
            let found = self.store.user_by_external_id(&external_id).await;
            if let Some(user) = found.map_err(store_error)? {
                admits(user.id, user.revoked_before)?;
                if user.has(&profile) {
                    self.user_cache.read(&user, stamp);
                    return Ok(user);
                }
            }
        }
        let at = self.clock.now();
        let new = NewUser {
            id: UserId::new(at),
            pk,
            external_id,
            profile,
            at,
            audit,
        };
        let written = self.newcomers.write(new).await?;
        admits(written.id, written.revoked_before)?;
        Ok(written)
    }
}

/// The act on a user that is created without a profile.
pub(super) fn created() -> Act {
    changed(&Profile::default())
}

/// The act on a user whose profile is given these fields.
fn changed(profile: &Profile) -> Act {
    let Profile {
        username,
        name,
        avatar,
        github,
        image_uuid,
    } = profile;
    Act::new(AuditAct::ChangeUser).changing([
        ("username", username.is_some()),
        ("name", name.is_some()),
        ("avatar", avatar.is_some()),
        ("github", github.is_some()),
        ("imageUUID", image_uuid.is_some()),
    ])
}

/// The error of a user that has another integer id than the chosen one.
fn other_pk(user: &User) -> Error {
    let why = format!("user.pk: this user has the number {}", user.pk);
    Error::new(ErrorKind::Conflict, why)
}

pub(super) fn no_user(user: &UserRef) -> Error {
    Error::not_found(format_args!("user {user}"))
}

pub(super) fn check_external_id(external_id: &str) -> Result<(), Error> {
    let field = "user.externalUserId";
    if external_id.trim().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    // No token could carry it.
    if external_id.chars().any(char::is_control) {
        return Err(Error::invalid(field, "has a control character"));
    }
    if external_id.chars().count() > EXTERNAL_ID_CHARS {
        let limit = format_args!("{EXTERNAL_ID_CHARS} characters");
        return Err(Error::too_large(field, limit));
    }
    Ok(())
}

/// Checks the fields of a profile.
///
/// # Errors
/// `TooLarge`, `Invalid`.
pub(super) fn check_profile(profile: &Profile) -> Result<(), Error> {
    let fields = [
        ("user.username", &profile.username),
        ("user.name", &profile.name),
        ("user.avatar", &profile.avatar),
        ("user.github", &profile.github),
        ("user.imageUUID", &profile.image_uuid),
    ];
    for (field, value) in fields {
        if value
            .as_ref()
            .is_some_and(|value| value.len() > PROFILE_BYTES)
        {
            return Err(Error::too_large(
                field,
                format_args!("{PROFILE_BYTES} bytes"),
            ));
        }
    }
    match &profile.username {
        Some(username) if username.trim().is_empty() => {
            Err(Error::new(ErrorKind::Invalid, "user.username: is empty"))
        }
        _ => Ok(()),
    }
}
