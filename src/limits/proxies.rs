//! The address of the client: the TCP peer, or the one that a trusted proxy forwards for.
//! Does not know the limits that use the address.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header to which each proxy appends the address of its peer.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Whether this address is one of theirs.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The forwarded address: the last one in `X-Forwarded-For` that is no trusted proxy's. The
    /// addresses before it are not trustworthy. Without one it is the address of the trusted peer;
    /// `None`: the peer is not trusted.
    pub fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return None;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for name in named {
            match address(name.trim()) {
                Some(address) if self.trusts(address) => {}
                Some(address) => return Some(address),
                None => break,
            }
        }
        Some(peer)
    }
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.parse::<IpAddr>();
    let alone = alone.or_else(|_| text.trim_matches(['[', ']']).parse());
    let address = alone.or_else(|_| text.parse().map(|with: SocketAddr| with.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client_of(peer: &str, values: &[&'static str]) -> Option<String> {
        let range = |text: &str| text.parse().expect("a range");
        let proxies = Proxies(vec![range("10.0.0.0/8"), range("fd00::/8")]);
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, value);
        }
        let client = proxies.client_of(peer.parse().expect("an address"), &headers);
        client.map(|client| client.to_string())
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.7"]), None);
    }

    #[test]
    fn the_last_one_that_is_no_proxy_counts() {
        let cases: [(&[&'static str], &str); 8] = [
            (&["198.51.100.7"], "198.51.100.7"),
            (&["203.0.113.1, 198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, 10.2.2.2"], "198.51.100.7"),
            (&["203.0.113.1", "198.51.100.7,10.2.2.2"], "198.51.100.7"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["[2001:db8::1]:4711, fd00::2"], "2001:db8::1"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["[2001:db8::1]"], "2001:db8::1"),
        ];
        for (values, client) in cases {
            assert_eq!(client_of("10.1.1.1", values).as_deref(), Some(client));
        }
        let mapped = client_of("::ffff:10.1.1.1", &["198.51.100.7"]);
        assert_eq!(mapped.as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn a_proxy_that_names_nobody_speaks_for_itself() {
        for values in [&[][..], &["10.3.3.3"], &["unknown"], &["198.51.100.7, x"]] {
            assert_eq!(client_of("10.1.1.1", values).as_deref(), Some("10.1.1.1"));
        }
    }
}
