//! Where a request carries its token (PROTOCOL §1.3).
//! It refuses to know what a token is worth: `auth` does.

use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};
use serde::Deserialize;

#[derive(Deserialize)]
struct Parameters {
    token: Option<String>,
}

/// The query's `token`, else the bearer token of the `Authorization` header.
pub fn of_request(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let parameters = Query::<Parameters>::try_from_uri(uri).ok();
    parameters
        .and_then(|Query(parameters)| parameters.token)
        .or_else(|| bearer(headers))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(authorization: &'static str) -> HeaderMap {
        let value = HeaderValue::from_static(authorization);
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn the_query_comes_before_the_header() {
        let uri = Uri::from_static("/socket.io/?EIO=4&token=a%20b");
        let found = of_request(&uri, &headers("Bearer c"));
        assert_eq!(found.as_deref(), Some("a b"));
    }

    #[test]
    fn only_a_bearer_token_counts() {
        let uri = Uri::from_static("/socket.io/?EIO=4");
        assert_eq!(of_request(&uri, &headers("bearer c")).as_deref(), Some("c"));
        assert_eq!(of_request(&uri, &headers("Basic c")), None);
        assert_eq!(of_request(&uri, &HeaderMap::new()), None);
    }
}
