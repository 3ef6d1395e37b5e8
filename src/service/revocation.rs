//! The revocation of tokens, and the record of each that is made.
//! Does not sign tokens: `auth` does. Does not know connections: the hub ends those that were opened with a revoked token.
//!
//! A token is checked when its caller is identified, and its connection is found by a revocation once
//! it is bound to its user. A revocation in between is found by [`Service::confirm`], which is called
//! after the binding: revocations are counted after the store has them and before they are published,
//! so either the count has changed since, or the publication finds the connection.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::audit::Act;
use super::users::no_user;
use super::{Service, access, store_error};
use crate::model::{AuditAct, Caller, Error, Fact, Identity, Issue, Reply, User, UserRef};

/// How many revocations there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocations(u64);

impl Service {
    pub(super) async fn revoke_tokens(
        &self,
        identity: &Identity,
        user: UserRef,
        before: Option<Timestamp>,
    ) -> Result<Reply, Error> {
        access::service(identity)?;
        let now = self.clock.now();
        let before = before.unwrap_or(now);
        if before > now {
            return Err(Error::invalid("before", "lies in the future"));
        }
        // As it is stored.
        let before = Timestamp::from_millisecond(before.as_millisecond()).unwrap_or(now);
        let found = self.found(user.clone()).await?;
        let act = Act::new(AuditAct::RevokeTokens).about(found.id);
        let act = act.with([("before", format!("{before:.3}").into())]);
        let audit = self.audit(access::actor(identity, None)?, act);
        let revoked = self.store.revoke_tokens(found.id, before, audit).await;
        self.user_cache.profile_changed(&found.external_id);
        self.revocations.fetch_add(1, Ordering::AcqRel);
        if revoked.is_err() {
            self.settlement.revocation(found.id);
        }
        let (_, user) = revoked
            .map_err(store_error)?
            .ok_or_else(|| no_user(&user))?;
        self.settlement.user_changed(&user).await;
        // Without a change as well: the connections may not have been ended the first time.
        let fact = Fact::TokensRevoked {
            user: user.id,
            before,
        };
        self.publish(identity, fact).await;
        Ok(Reply::Revoked(user))
    }

    /// Ends the connections that a user has. A client that connects again is admitted as before.
    pub(super) async fn disconnect(
        &self,
        identity: &Identity,
        user: UserRef,
    ) -> Result<Reply, Error> {
        access::service(identity)?;
        let user = self.id_of(user).await?;
        self.user(user).await?;
        let act = Act::new(AuditAct::Disconnect).about(user);
        if let Some(record) = self.audit(access::actor(identity, None)?, act) {
            self.store.add_audit(record).await.map_err(store_error)?;
        }
        self.publish(identity, Fact::Disconnected(user)).await;
        Ok(Reply::Disconnected)
    }

    /// Records that a token is made for a user, before it is handed out.
    pub(super) async fn record_token(
        &self,
        identity: &Identity,
        external_id: String,
        expires_at: Timestamp,
    ) -> Result<Reply, Error> {
        access::service(identity)?;
        let user = self.store.user_by_external_id(&external_id).await;
        let act = Act::new(AuditAct::CreateToken).with([
            ("externalUserId", external_id.into()),
            ("expires_at", format!("{expires_at:.3}").into()),
        ]);
        let act = match user.map_err(store_error)? {
            Some(user) => act.about(user.id),
            None => act,
        };
        if let Some(record) = self.audit(access::actor(identity, None)?, act) {
            self.store.add_audit(record).await.map_err(store_error)?;
        }
        Ok(Reply::TokenRecorded)
    }

    /// How many revocations there were: to be read before [`Service::identify`].
    pub fn revocations(&self) -> Revocations {
        Revocations(self.revocations.load(Ordering::Acquire))
    }

    /// Whether the token of a caller, which was identified since there were so many revocations, is
    /// still valid. Called once the hub knows the connection. Reads the store only if there was a
    /// revocation since.
    ///
    /// # Errors
    /// `Unauthenticated`: it was revoked. `Unavailable`.
    pub async fn confirm(&self, issue: Issue, since: Revocations) -> Result<(), Error> {
        if self.revocations() == since {
            return Ok(());
        }
        let user = self.user(issue.user).await?;
        not_revoked(issue, &user)
    }

    /// Whether the token of a caller is still valid. Unlike [`Service::identify`] it creates no user, and
    /// waits for no lease. Of a user that is not known nothing was revoked.
    ///
    /// # Errors
    /// `Unauthenticated`: it was revoked. `Unavailable`.
    pub async fn check_revoked(&self, caller: &Caller) -> Result<(), Error> {
        let found = self.store.user_by_external_id(&caller.external_id).await;
        let Some(user) = found.map_err(store_error)? else {
            return Ok(());
        };
        let issue = Issue {
            user: user.id,
            at: caller.issued_at,
        };
        not_revoked(issue, &user)
    }
}

fn not_revoked(issue: Issue, user: &User) -> Result<(), Error> {
    match user.revoked_before {
        Some(before) if issue.is_revoked(before) => Err(access::revoked()),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
