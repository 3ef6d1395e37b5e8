//! The opening handshake, checked as RFC 6455 §4.2.1 has it.
//! Does not know the caller, nor the messages that follow.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tungstenite::handshake::derive_accept_key;

use crate::gateway::tcp::GuardedStream;

/// The one version of the protocol.
const VERSION: &str = "13";

/// Whether the headers request a WebSocket.
pub fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    names(headers, header::UPGRADE, "websocket") && names(headers, header::CONNECTION, "upgrade")
}

/// Why a request cannot be upgraded; the response is always 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHandshake {
    /// It is not a GET.
    Method,
    /// It does not request a WebSocket.
    NoUpgrade,
    /// It requests another version of the protocol.
    Version,
    /// Its key is missing or invalid.
    Key,
    /// It came over another version of HTTP.
    Http,
}

impl IntoResponse for BadHandshake {
    fn into_response(self) -> Response {
        let why = match self {
            Self::Method => "a WebSocket is opened with GET\n",
            Self::NoUpgrade => "this address takes WebSockets only\n",
            Self::Version => "unsupported version of WebSocket\n",
            Self::Key => "Sec-WebSocket-Key is missing or invalid\n",
            Self::Http => "WebSockets need HTTP/1.1\n",
        };
        let response = (StatusCode::BAD_REQUEST, why).into_response();
        if self == Self::Version {
            return ([(header::SEC_WEBSOCKET_VERSION, VERSION)], response).into_response();
        }
        response
    }
}

/// A request whose handshake is valid.
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl Upgrade {
    /// Checks the handshake of a request.
    ///
    /// # Errors
    /// The error.
    pub fn of(request: &mut Parts) -> Result<Self, BadHandshake> {
        let headers = &request.headers;
        if !asks_for_upgrade(headers) {
            return Err(BadHandshake::NoUpgrade);
        }
        if request.method != Method::GET {
            return Err(BadHandshake::Method);
        }
        let version = only(headers, header::SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != VERSION) {
            return Err(BadHandshake::Version);
        }
        let key = only(headers, header::SEC_WEBSOCKET_KEY);
        let Some(key) = key.filter(|key| is_key(key.as_bytes())) else {
            return Err(BadHandshake::Key);
        };
        // Base64 is visible ASCII.
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.unwrap_or(HeaderValue::from_static(""));
        let on_upgrade = request.extensions.remove::<OnUpgrade>();
        match on_upgrade.filter(|_| request.version == Version::HTTP_11) {
            Some(on_upgrade) => Ok(Self { on_upgrade, accept }),
            None => Err(BadHandshake::Http),
        }
    }

    /// The response that upgrades, and the stream once it was sent, with the bytes that the client
    /// sent behind its request.
    pub fn accept(
        self,
    ) -> (
        Response,
        impl Future<Output = Option<(GuardedStream, Bytes)>>,
    ) {
        let head = [
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        let response = (StatusCode::SWITCHING_PROTOCOLS, head).into_response();
        let stream = async {
            let upgraded = self.on_upgrade.await.ok()?;
            let parts = downcast::<TokioIo<GuardedStream>>(upgraded).ok()?;
            // A copy: the original is a part of the buffer that the request was read into.
            let read = Bytes::copy_from_slice(&parts.read_buf);
            Some((parts.io.into_inner(), read))
        };
        (response, stream)
    }
}

/// The value of a header that may be there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether this is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key.split_at_checked(22), Some((digits, b"==")) if digits.iter().all(digit))
}

/// Whether a header, in however many lines, has this token in its list.
fn names(headers: &HeaderMap, header: HeaderName, token: &str) -> bool {
    let lines = headers.get_all(header).into_iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .any(|named| named.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [
            "",
            "dGg=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "d\"hlIHNhbXBsZSBub25jZQ==",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn another_method_and_headers_that_are_there_twice_are_refused() {
        let request = |method: Method, more: Option<HeaderName>| {
            let mut builder = axum::http::Request::builder()
                .method(method)
                .header("upgrade", "websocket")
                .header("connection", "Upgrade")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
            if let Some(name) = more {
                builder = builder.header(name, "13");
            }
            let mut parts = builder.body(()).expect("a request").into_parts().0;
            Upgrade::of(&mut parts).err()
        };
        // There is no connection that could be upgraded.
        assert_eq!(request(Method::GET, None), Some(BadHandshake::Http));
        for method in [Method::POST, Method::HEAD, Method::PUT] {
            assert_eq!(request(method, None), Some(BadHandshake::Method));
        }
        let twice = |name| request(Method::GET, Some(name));
        assert_eq!(
            twice(header::SEC_WEBSOCKET_VERSION),
            Some(BadHandshake::Version)
        );
        assert_eq!(twice(header::SEC_WEBSOCKET_KEY), Some(BadHandshake::Key));
    }

    #[test]
    fn a_token_is_found_in_any_line_and_case() {
        let mut headers = HeaderMap::new();
        headers.append(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        assert!(!asks_for_upgrade(&headers));
        let upgrade = HeaderValue::from_static("close , UPGRADE");
        headers.append(header::CONNECTION, upgrade);
        assert!(asks_for_upgrade(&headers));
    }
}
