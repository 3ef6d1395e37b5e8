//! The names by which requests may address the server. A page whose own name resolves to this
//! machine (DNS rebinding) has the rights of a page of the server's, but not the server's name.
//! Does not resolve names, and does not know the address that a request came to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// The names by which requests may address the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any.
    Any,
    /// Those of the loopback interface, and these.
    Listed(Vec<HostName>),
}

impl Hosts {
    /// Whether a request with this target and these headers may be served: every name in them is
    /// allowed, and there is one. Ports are not compared.
    pub fn allow(&self, target: &Uri, headers: &HeaderMap) -> bool {
        let Self::Listed(listed) = self else {
            return true;
        };
        let in_header = headers.get_all(header::HOST).iter().map(named);
        let in_target = target.authority().map(HostName::of);
        let mut names = in_header.chain(in_target).peekable();
        let allowed = |name: HostName| name.is_loopback() || listed.contains(&name);
        names.peek().is_some() && names.all(|name| name.is_some_and(allowed))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listed(listed) = self else {
            return f.write_str("any");
        };
        f.write_str("loopback names")?;
        for HostName(name) in listed {
            write!(f, ", {name}")?;
        }
        Ok(())
    }
}

/// The name in a header, without its port.
fn named(value: &HeaderValue) -> Option<HostName> {
    let authority: Authority = value.as_bytes().try_into().ok()?;
    HostName::of(&authority)
}

/// The name or address of a host, in one spelling: without capital letters, brackets and a dot at its
/// end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// The host of an authority; `None`: it has none, or names a user.
    fn of(authority: &Authority) -> Option<Self> {
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let name = match bare.unwrap_or(host).parse::<IpAddr>() {
            Ok(address) => address.to_canonical().to_string(),
            Err(_) => host.to_owned(),
        };
        (!name.is_empty()).then_some(Self(name))
    }

    fn is_loopback(&self) -> bool {
        let address = self.0.parse::<IpAddr>();
        self.0 == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for HostName {
    type Err = String;

    /// Reads a name or an address, without a scheme, a port or a path.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a name like chat.example, without a scheme and a port".to_owned();
        // An address of IPv6 may come without its brackets.
        let bracketed = match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => text.to_owned(),
        };
        let authority: Authority = bracketed.parse().map_err(|_| wrong())?;
        if authority.host() != authority.as_str() || text.contains('*') {
            return Err(wrong());
        }
        Self::of(&authority).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &Hosts, target: &'static str, names: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(header::HOST, HeaderValue::from_static(name));
        }
        hosts.allow(&Uri::from_static(target), &headers)
    }

    fn listed(names: &[&str]) -> Hosts {
        let names = names.iter().map(|name| name.parse().expect("a name"));
        Hosts::Listed(names.collect())
    }

    #[test]
    fn loopback_names_are_allowed_with_any_port() {
        for name in [
            "localhost",
            "localhost:3000",
            "LOCALHOST:1",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:3000",
            "127.8.9.10:80",
            "[::1]",
            "[::1]:3000",
            "[0:0:0:0:0:0:0:1]:3000",
            "[::ffff:127.0.0.1]:3000",
        ] {
            assert!(allowed(&listed(&[]), "/", &[name]), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_allowed_unless_they_are_listed() {
        for name in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "10.0.0.1:3000",
            "0.0.0.0:3000",
            "[::]:3000",
            "[2001:db8::1]:3000",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost:3000:80",
            "localhost, evil.example",
            "::1",
            ":3000",
            "",
        ] {
            assert!(!allowed(&listed(&["chat.example"]), "/", &[name]), "{name}");
            assert!(allowed(&Hosts::Any, "/", &[name]), "{name}");
        }
        let hosts = listed(&["Chat.Example", "10.0.0.1", "2001:db8::1", "[2001:db8::2]"]);
        for name in [
            "chat.example",
            "CHAT.example.:443",
            "10.0.0.1:3000",
            "[2001:DB8::1]:3000",
            "[2001:db8:0::2]",
            "localhost:3000",
        ] {
            assert!(allowed(&hosts, "/", &[name]), "{name}");
        }
        assert!(!allowed(&hosts, "/", &["sub.chat.example"]));
        let names = "loopback names, chat.example, 10.0.0.1, 2001:db8::1, 2001:db8::2";
        assert_eq!(
            (hosts.to_string(), Hosts::Any.to_string()),
            (names.into(), "any".into())
        );
    }

    #[test]
    fn every_name_of_a_request_has_to_be_allowed_and_one_is_needed() {
        let hosts = listed(&[]);
        assert!(!allowed(&hosts, "/", &[]));
        assert!(!allowed(&hosts, "/", &["localhost", "evil.example"]));
        assert!(!allowed(&hosts, "http://evil.example/", &["localhost"]));
        assert!(!allowed(&hosts, "http://localhost/", &["evil.example"]));
        assert!(allowed(&hosts, "http://localhost:3000/", &["localhost"]));
        assert!(allowed(&hosts, "http://localhost:3000/", &[]));
        assert!(allowed(&Hosts::Any, "/", &[]));
    }

    #[test]
    fn a_name_has_no_scheme_port_user_or_path() {
        for text in [
            "",
            " ",
            ".",
            "https://chat.example",
            "chat.example:443",
            "chat.example/",
            "anna@chat.example",
            "*.chat.example",
            "[::1]:80",
        ] {
            let error = text.parse::<HostName>().expect_err(text);
            assert!(error.contains("chat.example"), "{error}");
        }
    }
}
