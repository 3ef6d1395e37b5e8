//! The limits of the members of a chat and of the chats of a user, and the errors of what exceeds them.
//! Does not judge an addition: the store does, in the step that adds.

use super::access::MemberList;
use super::{Service, store_error};
use crate::model::{Error, Identity, MemberLimits, Rights, UserId};
use crate::store::{Full, StoreError};

impl Service {
    /// The limits of an addition by this caller. The user of a service token makes chats for others,
    /// in any number.
    pub(super) fn member_limits(&self, identity: &Identity) -> MemberLimits {
        MemberLimits {
            members: self.limits.members,
            chats: self.limits.chats,
            exempt: identity.user.filter(|_| identity.rights == Rights::Service),
        }
    }

    /// Refuses early what the store would refuse: so many more members of this chat.
    pub(super) fn has_room(&self, members: &MemberList, more: usize) -> Result<(), Error> {
        if members.len().saturating_add(more) > self.limits.members {
            return Err(self.chat_full());
        }
        Ok(())
    }

    /// Refuses early what the store would refuse: one chat more for each of these users, of whom none
    /// owns it.
    ///
    /// # Errors
    /// `TooLarge`, with the limit; it names the user if that is not the caller.
    pub(super) async fn may_join_more(
        &self,
        identity: &Identity,
        users: &[UserId],
    ) -> Result<(), Error> {
        let limits = self.member_limits(identity);
        let users = users.iter().copied();
        let users: Vec<_> = users
            .filter(|user| limits.chats_of(*user).is_some())
            .collect();
        let Some(most) = limits.chats.filter(|_| !users.is_empty()) else {
            return Ok(());
        };
        let full = self.store.users_in_many_chats(&users, most).await;
        match full.map_err(store_error)?.first() {
            None => Ok(()),
            Some(user) => Err(self.user_full(identity, *user)),
        }
    }

    /// The error of an addition that the store did not make.
    pub(super) fn refused(&self, identity: &Identity, error: StoreError) -> Error {
        match error {
            StoreError::Full(full) => self.full(identity, full),
            error => store_error(error),
        }
    }

    /// The error of an addition that exceeds a limit.
    pub(super) fn full(&self, identity: &Identity, full: Full) -> Error {
        match full {
            Full::Chat => self.chat_full(),
            Full::User(user) => self.user_full(identity, user),
        }
    }

    fn chat_full(&self) -> Error {
        Error::too_large("chat", format_args!("{} members", self.limits.members))
    }

    fn user_full(&self, identity: &Identity, user: UserId) -> Error {
        let most = self.limits.chats.unwrap_or(usize::MAX);
        if identity.user == Some(user) {
            return Error::too_large("chats", format_args!("{most} of one user"));
        }
        Error::too_large("users", format_args!("{most} chats of user {user}"))
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
