//! What is kept of the request that opens a session, for as long as the session lasts.
//! Does not change what the request asks for.
//!
//! `socketioxide` keeps the head of that request. Its address and its headers are slices of the
//! buffer of 16 KiB into which `hyper` read it, `axum` keeps the address a second time, and one
//! such slice holds the whole buffer. So only what is read later goes in, and as a copy.

use axum::extract::{ConnectInfo, Request};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, header};
use hyper::upgrade::OnUpgrade;

use crate::gateway::line::Line;

/// The headers that are read from here on: by the library for the upgrade, by us for the token.
const READ: [HeaderName; 2] = [header::SEC_WEBSOCKET_KEY, header::AUTHORIZATION];

/// The same request, of which nothing is held that is not needed.
pub(super) fn slim(mut request: Request) -> Request {
    *request.uri_mut() = copied(request.uri());
    *request.headers_mut() = chosen(request.headers());
    let mut extensions = Extensions::new();
    if let Some(line) = request.extensions_mut().remove::<ConnectInfo<Line>>() {
        extensions.insert(line);
    }
    if let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    *request.extensions_mut() = extensions;
    request
}

fn copied(uri: &Uri) -> Uri {
    // What was read once can be read again.
    uri.to_string().parse().unwrap_or_else(|_| uri.clone())
}

fn chosen(headers: &HeaderMap) -> HeaderMap {
    let found = READ.into_iter().filter_map(|name| {
        let value = headers.get(&name)?;
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        copy.set_sensitive(value.is_sensitive());
        Some((name, copy))
    });
    let found: Vec<_> = found.collect();
    let mut kept = HeaderMap::with_capacity(found.len());
    kept.extend(found);
    kept
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};

    use super::*;

    /// A request all of whose head stands in one buffer, as it comes from the network.
    fn read(buffer: &Bytes) -> Request {
        let text = str::from_utf8(buffer).expect("a text");
        let part = |wanted: &str| buffer.slice_ref(wanted.as_bytes());
        let mut lines = text.lines();
        let uri = Uri::from_maybe_shared(part(lines.next().expect("a line"))).expect("an address");
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let name: HeaderName = name.parse().expect("a name");
            let value = HeaderValue::from_maybe_shared(part(value)).expect("a value");
            request.headers_mut().append(name, value);
        }
        request
    }

    fn sample() -> Bytes {
        let head = "/socket.io/?EIO=4&transport=websocket&token=a%20b\nhost: example.org\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nauthorization: Bearer c\n\
                    user-agent: a browser";
        Bytes::from(head.to_owned())
    }

    #[test]
    fn nothing_of_the_buffer_is_held_that_the_head_was_read_into() {
        let buffer = sample();
        let mut request = read(&buffer);
        let address = axum::extract::OriginalUri(request.uri().clone());
        request.extensions_mut().insert(address);
        assert!(!buffer.is_unique());
        let slim = slim(request);
        assert!(buffer.is_unique());
        drop(slim);
    }

    #[test]
    fn what_is_read_later_is_still_there() {
        let request = slim(read(&sample()));
        let address = "/socket.io/?EIO=4&transport=websocket&token=a%20b";
        assert_eq!(request.uri(), address);
        let headers = request.headers();
        assert_eq!(
            headers[header::SEC_WEBSOCKET_KEY],
            "dGhlIHNhbXBsZSBub25jZQ=="
        );
        assert_eq!(headers[header::AUTHORIZATION], "Bearer c");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn an_address_with_a_host_stays_what_it_was() {
        let address = "http://example.org:81/socket.io/?EIO=4&a=%2F";
        let uri = Uri::from_static(address);
        assert_eq!(copied(&uri), uri);
        assert_eq!(copied(&uri).to_string(), address);
    }
}
