//! Which web pages may use the server from a browser.
//! Does not identify the caller: clients other than browsers send no `Origin`.

use axum::http::{HeaderMap, HeaderValue, header};

/// Which web pages may use the server from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Any.
    Any,
    /// Pages of these origins; others only from the server's own host.
    Listed(Vec<HeaderValue>),
}

impl Origins {
    /// Whether the page that made a request with these headers may connect.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let (Self::Listed(listed), Some(origin)) = (self, headers.get(header::ORIGIN)) else {
            return true;
        };
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        let own = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        listed.contains(origin) || own.is_some_and(|(_, own)| Some(own.as_bytes()) == host)
    }
}
