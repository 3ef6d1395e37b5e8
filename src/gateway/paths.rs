//! The paths of the transports, by which a refusal has the format of its client.
//! Does not route requests.

/// Where Socket.IO is served.
pub(super) const SOCKET_IO: &str = "/socket.io/";

/// Whether Socket.IO is served at this path.
pub(super) fn is_socketio(path: &str) -> bool {
    path.trim_end_matches('/') == SOCKET_IO.trim_end_matches('/')
}

/// Whether a raw WebSocket is served at this path.
pub(super) fn is_websocket(path: &str) -> bool {
    path == "/ws" || path.starts_with("/ws/")
}
