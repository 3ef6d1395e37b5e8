//! Extracts the token of a request (docs/AUTHENTICATION.md), and the other parameters of its query.
//! Does not check a token: `auth` does.

use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

/// The query's last `token`, else the bearer token of the `Authorization` header.
pub fn of_request(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let token = pairs.filter(|(name, _)| name == "token").last();
    token
        .map(|(_, token)| token.into_owned())
        .or_else(|| bearer(headers))
}

/// The pairs of a query, as an object of strings; of the same name the last.
pub fn query(query: &str) -> Value {
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs.into_owned().collect()
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
    use serde_json::json;

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
        let uri = Uri::from_static("/socket.io/?token=a&token=b");
        assert_eq!(of_request(&uri, &HeaderMap::new()).as_deref(), Some("b"));
    }

    #[test]
    fn a_query_is_an_object_of_strings() {
        let expected = json!({"EIO": "4", "answers": "both", "x": ""});
        assert_eq!(query("EIO=4&answers=one&answers=b%6Fth&x"), expected);
        assert_eq!(query(""), json!({}));
    }

    #[test]
    fn only_a_bearer_token_counts() {
        let uri = Uri::from_static("/socket.io/?EIO=4");
        assert_eq!(of_request(&uri, &headers("bearer c")).as_deref(), Some("c"));
        assert_eq!(of_request(&uri, &headers("Basic c")), None);
        assert_eq!(of_request(&uri, &HeaderMap::new()), None);
    }
}
