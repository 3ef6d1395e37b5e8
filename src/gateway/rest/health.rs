//! The index page for people, and the health checks for machines.
//! Does not report details: neither address needs a token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use crate::service::Service;

/// How long the store may take to answer before the server counts as not ready.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// In a few lines: what this is, and where to connect.
pub async fn hello() -> String {
    format!(
        "polychat {}: one chat server for four chat protocols\n\n\
         /socket.io/      Socket.IO clients (create-user, create-chat, new-message, ...)\n\
         /ws/chat/room/   raw WebSocket, action dialect (join_room, create_message, ...)\n\
         /ws/chats/       raw WebSocket, type dialect (getChats, newMessage, ...)\n\
         /ws              raw WebSocket, the first frame decides\n\
         /api/v1/         REST, for the host application's backend\n\
         /docs            every operation of it\n\
         /livez           the process runs\n\
         /readyz          it can serve\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The process runs. Checks nothing else.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// Commands can be served: queries the store. 503 with the reason if not, and while the server
/// shuts down.
pub async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, String) {
    let ready = tokio::time::timeout(TIME_LIMIT, service.ready()).await;
    match ready {
        Ok(Ok(())) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Err(error)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", error.message),
        ),
        Err(_) => {
            let seconds = TIME_LIMIT.as_secs();
            let reason = format!("the store did not answer within {seconds} seconds\n");
            (StatusCode::SERVICE_UNAVAILABLE, reason)
        }
    }
}
