//! Who asks: the host application's backend, and its way to the service.
//! Does not know what is asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::names::UserName;
use super::problem::Problem;
use crate::gateway::credentials;
use crate::gateway::state::GatewayState;
use crate::gateway::tcp::TcpHandle;
use crate::limits::Payer;
use crate::model::{Command, Error, ErrorKind, Identity, Reply, UserId, UserRef};
use crate::telemetry::DialectLabel;

/// What every request needs of the rest of the server.
pub struct Server {
    /// To the service.
    pub state: GatewayState,
    /// What must be finished before the server ends.
    pub requests: TaskTracker,
    /// The longest body of a request.
    pub body_bytes: usize,
}

/// Somebody who may use this API.
pub struct Host {
    /// Where the request came in.
    pub server: Arc<Server>,
    /// Who it is.
    pub identity: Identity,
    /// When the request came in.
    pub read: Instant,
}

impl Host {
    /// Puts a command to the service.
    ///
    /// # Errors
    /// As [`crate::service::Service::execute`], with the fields called as they are here.
    pub async fn ask(&self, command: Command) -> Result<Reply, Error> {
        let (state, identity) = (self.server.state.clone(), self.identity);
        let metrics = &self.server.state.metrics;
        metrics.asked(DialectLabel::Rest, &command);
        let stores = command.stores();
        let work = async move { state.begin(&identity, command).await.await };
        let reply = if stores {
            // A client that hangs up must not leave behind what is stored but not announced.
            let done = self.server.requests.spawn(work).await;
            done.unwrap_or_else(|failed| Err(broken(&failed)))
        } else {
            work.await
        };
        if matches!(reply, Ok(Reply::Sent(_))) {
            metrics.acknowledged(DialectLabel::Rest, self.read);
        }
        reply.map_err(renamed)
    }

    /// The id of the user who is named here.
    ///
    /// # Errors
    /// `NotFound`: there is none of this number. A wrong id is left to whoever uses it.
    pub async fn user_id(&self, user: UserRef) -> Result<UserId, Error> {
        let UserRef::Id(id) = user else {
            return match self.ask(Command::GetUser { user }).await? {
                Reply::User(user) => Ok(user.id),
                _ => Err(mistaken()),
            };
        };
        Ok(id)
    }

    /// The ids of the users who are named, each once, in the order given.
    ///
    /// # Errors
    /// `TooLarge`: more than `most` are named. `NotFound`: there is none of that number.
    pub async fn user_ids(&self, named: Vec<UserName>, most: usize) -> Result<Vec<UserId>, Error> {
        if named.len() > most {
            return Err(Error::too_large("users", format_args!("{most} of them")));
        }
        let (mut known, mut seen) = (HashMap::new(), HashSet::new());
        let mut ids = Vec::with_capacity(named.len());
        for UserName(user) in named {
            let id = match user {
                UserRef::Id(id) => id,
                UserRef::Pk(pk) => match known.get(&pk) {
                    Some(id) => *id,
                    None => *known.entry(pk).or_insert(self.user_id(user).await?),
                },
            };
            if seen.insert(id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

impl FromRequestParts<Arc<Server>> for Host {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<Self, Self::Rejection> {
        let read = Instant::now();
        let token = credentials::of_request(&parts.uri, &parts.headers);
        let admitted = server.state.admit(token.as_deref()).await;
        let admitted = admitted.map_err(|error| {
            let reason = error.source.as_ref().map(ToString::to_string);
            info!(%error, reason, "refused");
            match error.kind {
                // What is too large here is a claim in the token.
                ErrorKind::TooLarge => Error::new(ErrorKind::Invalid, error.message),
                _ => error,
            }
        })?;
        // A request is no connection that could hear of things twice.
        let identity = Identity {
            connection: None,
            ..admitted.identity
        };
        // Who is not known is counted by the address.
        let line = parts.extensions.get::<ConnectInfo<TcpHandle>>();
        let address = line.map(|ConnectInfo(line)| {
            let forwarded = server.state.limits.forwarded(line.peer(), &parts.headers);
            forwarded.unwrap_or(line.peer())
        });
        let payer = identity.user.map(Payer::User);
        let payer = payer.or(address.map(Payer::Address));
        let counted = server.state.limits.frame(payer, None);
        counted.map_err(|over| Error::rate_limited(over.retry_after_ms))?;
        server.state.service.host(&identity)?;
        Ok(Self {
            server: Arc::clone(server),
            identity,
            read,
        })
    }
}

/// The service answered something else than it was asked: a bug.
pub fn mistaken() -> Error {
    Error::new(ErrorKind::Internal, "the answer does not fit the request")
}

fn broken(failed: &tokio::task::JoinError) -> Error {
    error!(%failed, "this should not happen");
    Error::new(ErrorKind::Internal, "the request was not finished")
}

/// How the service calls some fields, and what they are called here.
const NAMES: [(&str, &str); 5] = [
    ("room:", "chat:"),
    ("user.", ""),
    ("chat.", ""),
    ("event.", ""),
    ("msg:", "text:"),
];

/// The same error in the words of this API.
fn renamed(error: Error) -> Error {
    let known = NAMES.iter().find_map(|(theirs, ours)| {
        let rest = error.message.strip_prefix(theirs)?;
        Some(format!("{ours}{rest}"))
    });
    match known {
        Some(message) => Error { message, ..error },
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_as_they_are_here() {
        let cases = [
            ("user.externalUserId", "externalUserId: is empty"),
            ("chat.name", "name: is empty"),
            ("msg", "text: is empty"),
            ("room", "chat: is empty"),
            ("client_id", "client_id: is empty"),
        ];
        for (field, told) in cases {
            let error = renamed(Error::invalid(field, "is empty"));
            assert_eq!(error.message, told);
        }
        let error = renamed(Error::not_found("user 7"));
        assert_eq!(error.message, "no such user 7");
    }
}
