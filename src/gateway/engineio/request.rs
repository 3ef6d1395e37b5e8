//! Routes the requests of Engine.IO.
//! Does not know the content of packets.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use engineioxide_core::ProtocolVersion;

use super::refusal::{NO_STORE, Refusal};
use super::server::Server;
use super::session::Opening;
use super::state::Carrier;
use super::{polling, probe};
use crate::gateway::credentials;
use crate::gateway::tcp::TcpHandle;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::{Connection, Decoder, Upgrade, asks_for_upgrade};
use crate::telemetry::CloseReason;

/// The query parameters of Engine.IO; of the same name the last.
#[derive(Default)]
struct Parameters<'a> {
    transport: Option<Cow<'a, str>>,
    /// `EIO`.
    version: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    /// Whether the answer is to be a script.
    is_jsonp: bool,
}

impl<'a> Parameters<'a> {
    fn of(query: &'a str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "transport" => parameters.transport = Some(value),
                "EIO" => parameters.version = Some(value),
                "sid" => parameters.sid = Some(value),
                "j" => parameters.is_jsonp = true,
                _ => {}
            }
        }
        parameters
    }
}

/// Whether this is a request of a session that exists, or did, rather than of a new one.
pub fn names_session(uri: &Uri) -> bool {
    let parameters = Parameters::of(uri.query().unwrap_or_default());
    parameters.sid.is_some_and(|sid| !sid.is_empty())
}

impl Server {
    /// Serves sessions at this path, with and without its trailing slash.
    pub fn router(self: Arc<Self>, path: &str) -> Router {
        let bare = path.trim_end_matches('/');
        Router::new()
            .route(path, any(serve))
            .route(bare, any(serve))
            .route(&format!("{bare}/{{*file}}"), any(polling::not_found))
            .with_state(self)
    }
}

async fn serve(
    State(server): State<Arc<Server>>,
    ConnectInfo(handle): ConnectInfo<TcpHandle>,
    request: Request,
) -> Response {
    let routed = route(&server, &handle, request).await;
    ([NO_STORE], routed).into_response()
}

async fn route(
    server: &Arc<Server>,
    handle: &TcpHandle,
    request: Request,
) -> Result<Response, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let parameters = Parameters::of(&query);
    let is_websocket = match parameters.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(Refusal::Transport),
    };
    let protocol = match parameters.version.as_deref() {
        Some("4") => ProtocolVersion::V4,
        Some("3") => ProtocolVersion::V3,
        _ => return Err(Refusal::Version),
    };
    let method = request.method().clone();
    let jsonp = !is_websocket && parameters.is_jsonp;
    let no_upgrade = is_websocket && method == Method::GET && !asks_for_upgrade(request.headers());
    let Some(sid) = parameters.sid.filter(|sid| !sid.is_empty()) else {
        if method != Method::GET {
            return Err(Refusal::Method);
        }
        if no_upgrade || jsonp {
            return Err(Refusal::Request);
        }
        return open(server, handle, request, &query, protocol, is_websocket);
    };
    let Some(session) = server.find(&sid) else {
        return Err(Refusal::Session);
    };
    // A request that does not match the session does not affect it.
    if session.protocol() != protocol || no_upgrade || jsonp {
        return Err(Refusal::Request);
    }
    match (is_websocket, method) {
        (true, Method::GET) => Ok(probe::begin(server, session, handle, request)?),
        (false, _) if session.is_websocket() => Err(Refusal::Request),
        (false, Method::GET) => polling::get(session).await,
        (false, Method::POST) => polling::post(session, request).await,
        _ => Err(Refusal::Request),
    }
}

/// Opens a session.
fn open(
    server: &Arc<Server>,
    handle: &TcpHandle,
    request: Request,
    query: &str,
    protocol: ProtocolVersion,
    is_websocket: bool,
) -> Result<Response, Refusal> {
    let client = server.limits.client_of(handle.peer(), request.headers());
    let opening = Opening {
        token: credentials::of_request(request.uri(), request.headers()),
        query: query.to_owned(),
        client,
    };
    let too_many = |_| Refusal::TooMany;
    if !is_websocket {
        let session = server.begin(protocol, opening, Carrier::POLLING);
        let session = session.map_err(too_many)?;
        server.watch(&session);
        server.run_first(&session, session.handler.opened(&session));
        return Ok(polling::response(&session, &[server.open_packet(&session)]));
    }
    let upgrade = Upgrade::of(&mut request.into_parts().0)?;
    let session = server.begin(protocol, opening, Carrier::WebSocket);
    let session = session.map_err(too_many)?;
    // The session has its own time and its own place from now on.
    handle.admit();
    let (response, stream) = upgrade.accept();
    let server = Arc::clone(server);
    server.tasks.clone().spawn(async move {
        let Some((stream, read)) = stream.await else {
            session.close(CloseReason::Gone);
            return;
        };
        session.send([server.open_packet(&session)]);
        let work = match session.handler.opened(&session) {
            Handled::Done => None,
            Handled::Later(work) => Some(work),
        };
        let mut decoder = Decoder::new(server.settings.max_payload);
        decoder.push(&read);
        let closing = session.closing.clone();
        let connection = Connection::new(stream, decoder, session, work, closing);
        // A task of its own: this one, with all that the upgrade needs, ends while the client
        // stays.
        server.tasks.spawn(connection);
    });
    Ok(response)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
