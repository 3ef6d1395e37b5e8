//! Users and events that are moved in, and the users that other records name.
//! Does not know chats.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Outcome, event_names, first_of, found, made, taken};
use crate::model::{
    Error, ErrorKind, Event, ImportedEvent, ImportedNames, ImportedUser, NewPk, NewUser, Profile,
    User, UserId, UserRef,
};
use crate::service::events::check as check_details;
use crate::service::users::{check_external_id, check_profile};
use crate::service::{Numbering, Service, store_error};
use crate::store::StoreError;
use crate::store::transfer::EventRecord;

/// The users of one request: each is looked up once.
pub(super) struct Users<'a> {
    service: &'a Service,
    known: HashMap<UserRef, UserId>,
}

impl<'a> Users<'a> {
    pub(super) fn new(service: &'a Service) -> Self {
        let known = HashMap::new();
        Self { service, known }
    }

    /// The id of a user that a record names. One of an unknown external id is created.
    ///
    /// # Errors
    /// `NotFound`: an unknown id or number. Those of creating it.
    pub(super) async fn id(&mut self, user: &UserRef) -> Result<UserId, Error> {
        if let Some(id) = self.known.get(user) {
            return Ok(*id);
        }
        let service = self.service;
        let id = match user {
            UserRef::External(external_id) => {
                let pk = service.numbering.user(external_id, None)?;
                let profile = Profile::default();
                let admits = |_, _| Ok(());
                let user = service.find_or_create(external_id.clone(), pk, profile, None, admits);
                user.await?.id
            }
            user => service.found(user.clone()).await?.id,
        };
        self.known.insert(user.clone(), id);
        Ok(id)
    }

    /// The user that a record names.
    ///
    /// # Errors
    /// As [`Self::id`].
    pub(super) async fn user(&mut self, user: &UserRef) -> Result<User, Error> {
        let id = self.id(user).await?;
        self.service.user(id).await
    }

    /// Moves in users. The new ones are written together.
    pub(super) async fn import(&self, users: Vec<ImportedUser>) -> Vec<Outcome> {
        let first = first_of(users.iter().map(|user| user.external_id.clone()));
        let mut outcomes = Vec::with_capacity(users.len());
        let mut new = Vec::new();
        for (index, user) in users.into_iter().enumerate() {
            if first[index] != index {
                outcomes.push(None);
                continue;
            }
            outcomes.push(match self.look(&user).await {
                Ok(Some(there)) => Some(Ok(found(names(&there)))),
                Ok(None) => match self.new_user(user) {
                    Ok(user) => {
                        new.push((index, user));
                        None
                    }
                    Err(error) => Some(Err(error)),
                },
                Err(error) => Some(Err(error)),
            });
        }
        for (index, outcome) in self.write(new).await {
            outcomes[index] = Some(outcome);
        }
        let lost = || Err(Error::new(ErrorKind::Internal, "no outcome of a user"));
        let of = |index: usize| outcomes[first[index]].clone().unwrap_or_else(lost);
        (0..first.len()).map(of).collect()
    }

    /// The user of this external id, if there is one.
    ///
    /// # Errors
    /// `Conflict`: it has another number.
    async fn look(&self, user: &ImportedUser) -> Result<Option<User>, Error> {
        let found = self.service.store.user_by_external_id(&user.external_id);
        let found = found.await.map_err(store_error)?;
        match (&found, user.pk) {
            (Some(found), Some(pk)) if found.pk != pk => {
                let why = format!("pk: this user has the number {}", found.pk);
                Err(Error::new(ErrorKind::Conflict, why))
            }
            _ => Ok(found),
        }
    }

    fn new_user(&self, user: ImportedUser) -> Result<(NewUser, ImportedUser), Error> {
        let at = user.created_at.unwrap_or_else(|| self.service.clock.now());
        let new = NewUser {
            id: user.id.unwrap_or_else(|| UserId::new(at)),
            pk: self.service.numbering.user(&user.external_id, user.pk)?,
            external_id: user.external_id.clone(),
            profile: user.profile.clone(),
            at,
            audit: None,
        };
        Ok((new, user))
    }

    async fn write(&self, users: Vec<(usize, (NewUser, ImportedUser))>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(users.len());
        let (mut chosen, mut next) = (Vec::new(), Vec::new());
        for (index, (new, user)) in users {
            match new.pk {
                NewPk::Chosen(pk) => chosen.push((index, complete(new.into_user(pk), &user))),
                NewPk::NextFrom(_) => next.push((index, new, user.revoked_before)),
            }
        }
        let all = chosen.iter().map(|(_, user)| user.clone()).collect();
        let together = self.take(all).await;
        for (index, user) in chosen {
            let outcome = match &together {
                Ok(()) => Ok(made(names(&user))),
                Err(_) => self.take_one(user).await,
            };
            outcomes.push((index, outcome));
        }
        let written = next.into_iter().map(async |(index, new, revoked_before)| {
            let id = new.id;
            let written = self.write_next(new, revoked_before).await;
            let outcome = written.map(|user| {
                if user.id == id {
                    made(names(&user))
                } else {
                    found(names(&user))
                }
            });
            (index, outcome)
        });
        outcomes.extend(futures_util::future::join_all(written).await);
        outcomes
    }

    /// Writes a user with the next number.
    async fn write_next(
        &self,
        new: NewUser,
        revoked_before: Option<Timestamp>,
    ) -> Result<User, Error> {
        let id = new.id;
        let user = self.service.newcomers.write(new).await?;
        if let Some(before) = revoked_before.filter(|_| user.id == id) {
            let revoked = self.service.store.revoke_tokens(id, before, None).await;
            self.service.user_cache.profile_changed(&user.external_id);
            self.service.settlement.user_changed(&user).await;
            revoked.map_err(store_error)?;
        }
        Ok(user)
    }

    async fn take(&self, users: Vec<User>) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let cache = &self.service.user_cache;
        let taken = self.service.store.take_users(users.clone()).await;
        for user in &users {
            cache.profile_changed(&user.external_id);
        }
        taken
    }

    /// Writes one of a run that could not be written together.
    async fn take_one(&self, user: User) -> Outcome {
        match self.take(vec![user.clone()]).await {
            Ok(()) => Ok(made(names(&user))),
            Err(StoreError::Duplicate | StoreError::PkTaken) => {
                let store = &self.service.store;
                let same = store.user_by_external_id(&user.external_id).await;
                if let Some(same) = same.map_err(store_error)? {
                    // Another import was faster.
                    return Ok(found(names(&same)));
                }
                let same = store.user_by_pk(user.pk).await.map_err(store_error)?;
                Err(taken(if same.is_some() { "pk" } else { "id" }, "user"))
            }
            Err(error) => Err(store_error(error)),
        }
    }

    /// Moves in an event.
    pub(super) async fn import_event(&mut self, event: ImportedEvent) -> Outcome {
        let service = self.service;
        let pk = service.numbering.event(Some(event.pk))?;
        let pk = pk.chosen().unwrap_or(event.pk);
        if service
            .store
            .event(pk)
            .await
            .map_err(store_error)?
            .is_some()
        {
            return Ok(found(event_names(pk)));
        }
        let owner = self.user(&event.owner).await?;
        let created_at = event.created_at.unwrap_or_else(|| service.clock.now());
        let record = EventRecord {
            event: Event {
                pk,
                owner: owner.into(),
                details: event.details,
                created_at,
                modified_at: event.modified_at.unwrap_or(created_at),
            },
            key: event.key,
        };
        match service.store.take_events(vec![record]).await {
            Ok(()) => Ok(made(event_names(pk))),
            Err(StoreError::Duplicate | StoreError::PkTaken) => {
                match service.store.event(pk).await.map_err(store_error)? {
                    Some(_) => Ok(found(event_names(pk))),
                    None => Err(taken("idempotency_key", "event")),
                }
            }
            Err(error) => Err(store_error(error)),
        }
    }
}

/// Checks a user alone.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(user: &ImportedUser) -> Result<(), Error> {
    check_external_id(&user.external_id)?;
    check_profile(&user.profile)?;
    Numbering::default()
        .user(&user.external_id, user.pk)
        .map(drop)
}

/// Checks an event alone.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check_event(event: &ImportedEvent) -> Result<(), Error> {
    check_details(&event.details)?;
    Numbering::default().event(Some(event.pk)).map(drop)
}

/// The user with what only an export has of it.
fn complete(mut user: User, imported: &ImportedUser) -> User {
    user.modified_at = imported.modified_at.unwrap_or(user.modified_at);
    user.revoked_before = imported.revoked_before;
    user
}

fn names(user: &User) -> ImportedNames {
    let (id, pk) = (user.id, user.pk);
    ImportedNames::User { id, pk }
}
