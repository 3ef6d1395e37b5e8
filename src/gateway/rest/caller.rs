//! The host application's backend as the caller of the service.
//! Does not know the commands.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::problem::Problem;
use super::request_log::CallerCell;
use crate::gateway::credentials;
use crate::gateway::state::GatewayState;
use crate::gateway::tcp::TcpHandle;
use crate::limits::Payer;
use crate::model::{ChatId, ChatRef, Command, Error, ErrorKind, Identity, Reply, UserId, UserRef};
use crate::service::Newcomer;
use crate::telemetry::DialectLabel;

/// The parts of the server that every request uses.
pub struct Server {
    /// To the service.
    pub state: GatewayState,
    /// The tasks to finish before the server ends.
    pub requests: TaskTracker,
    /// The longest body of a request.
    pub body_bytes: usize,
}

/// An authenticated caller of this API.
pub struct ServiceCaller {
    /// Where the request came in.
    pub server: Arc<Server>,
    /// The identity in the token.
    pub identity: Identity,
    /// When the request came in.
    pub read: Instant,
    /// Who pays for it.
    payer: Option<Payer>,
}

impl ServiceCaller {
    /// Executes a command.
    ///
    /// # Errors
    /// As [`crate::service::Service::execute`], with the fields called as they are here.
    pub async fn execute(&self, command: Command) -> Result<Reply, Error> {
        let (state, identity) = (self.server.state.clone(), self.identity);
        let metrics = &self.server.state.metrics;
        metrics.count_command(DialectLabel::Rest, &command);
        let (stores, rows) = (command.stores(), command.rows());
        let work = async move { state.begin(&identity, command).await.await };
        let reply = if stores {
            // A client that disconnects must not leave behind a change that is stored and not
            // published.
            let done = self.server.requests.spawn(work).await;
            done.unwrap_or_else(|failed| Err(broken(&failed)))
        } else {
            work.await
        };
        let rows = rows + reply.as_ref().map_or(0, Reply::rows);
        let limits = &self.server.state.limits;
        limits.charge(&identity, self.payer, None, rows);
        if matches!(reply, Ok(Reply::Sent(_))) {
            metrics.acknowledged(DialectLabel::Rest, self.read);
        }
        reply.map_err(renamed)
    }

    /// The id of this user.
    ///
    /// # Errors
    /// `NotFound`: there is none of this name. An unknown id is returned as it is.
    pub async fn user_id(&self, user: UserRef) -> Result<UserId, Error> {
        let UserRef::Id(id) = user else {
            return match self.execute(Command::GetUser { user }).await? {
                Reply::User(user) => Ok(user.id),
                _ => Err(wrong_reply()),
            };
        };
        Ok(id)
    }

    /// The id of this chat.
    ///
    /// # Errors
    /// `NotFound`: there is none with this number. An unknown id is returned as it is.
    pub async fn chat_id(&self, chat: ChatRef) -> Result<ChatId, Error> {
        match chat {
            ChatRef::Id(id) | ChatRef::OfEvent(id) => Ok(id),
            ChatRef::Pk(_) | ChatRef::External(_) | ChatRef::ExternalOfEvent(_) => {
                let get = Command::GetRoom { chat, messages: 0 };
                match self.execute(get).await? {
                    Reply::Room(room) => Ok(room.chat.id),
                    _ => Err(wrong_reply()),
                }
            }
        }
    }
}

/// An authenticated caller for whom no user is created.
pub struct ImportCaller(pub ServiceCaller);

impl FromRequestParts<Arc<Server>> for ImportCaller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<Self, Self::Rejection> {
        let caller = ServiceCaller::admitted(Newcomer::Unknown, parts, server);
        caller.await.map(Self)
    }
}

impl FromRequestParts<Arc<Server>> for ServiceCaller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<Self, Self::Rejection> {
        Self::admitted(Newcomer::Created, parts, server).await
    }
}

impl ServiceCaller {
    async fn admitted(
        newcomer: Newcomer,
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<Self, Problem> {
        let read = Instant::now();
        let token = credentials::of_request(&parts.uri, &parts.headers);
        let handle = parts.extensions.get::<ConnectInfo<TcpHandle>>();
        let limits = &server.state.limits;
        let client =
            handle.map(|ConnectInfo(handle)| limits.client_of(handle.peer(), &parts.headers));
        let admitted = server.state.admit_as(newcomer, token.as_deref(), client);
        let admitted = admitted.await;
        let admitted = admitted.map_err(|error| {
            let transport = DialectLabel::Rest.name();
            server.state.log_refusal(client, transport, None, &error);
            match error.kind {
                // The error `TooLarge` is about a claim in the token.
                ErrorKind::TooLarge => Error::new(ErrorKind::Invalid, error.message),
                _ => error,
            }
        })?;
        // A request receives no notices, so none has to be suppressed.
        let identity = Identity {
            connection: None,
            ..admitted.identity
        };
        let logged = parts.extensions.get::<CallerCell>();
        if let Some((CallerCell(logged), user)) = logged.zip(identity.user) {
            // It is empty: each request has its own, and one caller.
            let _ = logged.set(user);
        }
        // A caller without a user is counted by the address.
        let payer = identity.user.map(Payer::User);
        let payer = payer.or(client.map(Payer::Address));
        let counted = limits.frame(payer, None);
        counted.map_err(|over| Error::rate_limited(over.retry_after_ms))?;
        server.state.service.host(&identity)?;
        Ok(Self {
            server: Arc::clone(server),
            identity,
            read,
            payer,
        })
    }
}

/// The reply is not that of the command: a bug.
pub fn wrong_reply() -> Error {
    Error::new(ErrorKind::Internal, "the reply does not match the command")
}

fn broken(failed: &tokio::task::JoinError) -> Error {
    error!(%failed, "the task of a request failed");
    Error::new(ErrorKind::Internal, "the request was not finished")
}

/// The names of some fields in the service, and in this API.
const NAMES: [(&str, &str); 5] = [
    ("room:", "chat:"),
    ("user.", ""),
    ("chat.", ""),
    ("event.", ""),
    ("msg:", "text:"),
];

/// The same error with the field names of this API.
fn renamed(error: Error) -> Error {
    error.with_names(&NAMES)
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
        for (field, expected) in cases {
            let error = renamed(Error::invalid(field, "is empty"));
            assert_eq!(error.message, expected);
        }
        let error = renamed(Error::not_found("user 7"));
        assert_eq!(error.message, "no such user 7");
    }
}
