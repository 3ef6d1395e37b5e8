//! The users that a request names: by the id, the number, or the external id.
//! Does not check rights: `access` does.

use std::collections::HashSet;

use futures_util::future::try_join_all;

use super::users::{check_external_id, created, no_user};
use super::{Service, access, store_error};
use crate::model::{Error, ErrorKind, Identity, Profile, UserId, UserRef};

/// A user that is named as a new member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Invited {
    /// By the id of a user, which may be unknown.
    User(UserId),
    /// By the external id of a user to create.
    New(String),
}

impl Service {
    /// The id of a user that a request names. It may be that of no user, if the name is an id.
    ///
    /// # Errors
    /// `NotFound`: there is no such user. `Unavailable`.
    pub(super) async fn id_of(&self, user: UserRef) -> Result<UserId, Error> {
        if let UserRef::External(external_id) = &user
            && let Ok(known) = self.user_cache.user(external_id, &Profile::default())
        {
            return Ok(known.id);
        }
        match user {
            UserRef::Id(id) => Ok(id),
            user => Ok(self.found(user).await?.id),
        }
    }

    /// The same of the acting user, if a request names one.
    ///
    /// # Errors
    /// As [`Service::id_of`].
    pub(super) async fn named_user(&self, user: Option<UserRef>) -> Result<Option<UserId>, Error> {
        match user {
            Some(user) => self.id_of(user).await.map(Some),
            None => Ok(None),
        }
    }

    /// The users of these names, each once, in the order given. Nothing is created yet.
    ///
    /// # Errors
    /// `NotFound`: there is no such user, and the caller may not create one. `TooLarge`, `Invalid`: an
    /// external id. `Unavailable`.
    pub(super) async fn invited(
        &self,
        identity: &Identity,
        named: Vec<UserRef>,
    ) -> Result<Vec<Invited>, Error> {
        let looked_up = named.iter().filter(|user| user.id().is_none());
        self.check_members(looked_up.count())?;
        let mut seen = HashSet::new();
        let mut invited = Vec::with_capacity(named.len());
        for user in named {
            let one = match user {
                UserRef::External(external_id) => {
                    self.invited_by_external_id(identity, external_id).await?
                }
                user => Invited::User(self.id_of(user).await?),
            };
            if seen.insert(one.clone()) {
                invited.push(one);
            }
        }
        Ok(invited)
    }

    async fn invited_by_external_id(
        &self,
        identity: &Identity,
        external_id: String,
    ) -> Result<Invited, Error> {
        check_external_id(&external_id)?;
        let creates = access::host(identity).is_ok();
        match self.id_of(UserRef::External(external_id.clone())).await {
            Ok(id) => Ok(Invited::User(id)),
            Err(error) if error.kind == ErrorKind::NotFound && creates => {
                Ok(Invited::New(external_id))
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses early what the store would refuse: a new user of this external id, whose number another
    /// user has.
    async fn number_is_free(&self, external_id: &str) -> Result<(), Error> {
        let Some(pk) = self.numbering.user(external_id, None)?.chosen() else {
            return Ok(());
        };
        let taken = self.store.user_by_pk(pk).await.map_err(store_error)?;
        match taken {
            Some(_) => {
                let why = format!("user external:{external_id}: another user has the number {pk}");
                Err(Error::new(ErrorKind::Conflict, why))
            }
            None => Ok(()),
        }
    }

    /// The ids of these users, in the order given. Those that are new are created, together.
    ///
    /// # Errors
    /// `NotFound`: one of the ids is that of no user; then none is created. `Unavailable`.
    pub(super) async fn created(
        &self,
        identity: &Identity,
        invited: Vec<Invited>,
    ) -> Result<Vec<UserId>, Error> {
        let known = invited.iter().filter_map(|one| match one {
            Invited::User(id) => Some(*id),
            Invited::New(_) => None,
        });
        let known: Vec<_> = known.collect();
        let unknown = self.store.unknown_users(&known).await;
        if let Some(id) = unknown.map_err(store_error)?.first() {
            return Err(no_user(&UserRef::Id(*id)));
        }
        if known.len() == invited.len() {
            return Ok(known);
        }
        for one in &invited {
            if let Invited::New(external_id) = one {
                self.number_is_free(external_id).await?;
            }
        }
        let actor = access::actor(identity, None)?;
        let ids = invited.into_iter().map(async |one| match one {
            Invited::User(id) => Ok(id),
            Invited::New(external_id) => {
                let audit = self.audit(actor, created());
                let (profile, admits) = (Profile::default(), |_, _| Ok(()));
                let pk = self.numbering.user(&external_id, None)?;
                let user = self.find_or_create(external_id, pk, profile, audit, admits);
                Ok(user.await?.id)
            }
        });
        let ids = try_join_all(ids).await?;
        // Another request may have created a user, and named it by its id here.
        let mut seen = HashSet::new();
        Ok(ids.into_iter().filter(|id| seen.insert(*id)).collect())
    }
}

#[cfg(test)]
#[path = "named_tests.rs"]
mod tests;
