//! The addresses to listen on, and the stores, as people write them.
//! Does not bind or open anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Endings of a path that is a SQLite file without a word about it.
const ENDINGS: [&str; 3] = [".db", ".sqlite", ".sqlite3"];

/// An address with a port: numbers, `localhost:3000`, or `:3000` for all addresses of the machine.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let named = || {
        let (name, port) = text.rsplit_once(':')?;
        let ip = match name {
            "" => Ipv4Addr::UNSPECIFIED,
            _ if name.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
            _ => return None,
        };
        let port = port.parse().ok()?;
        Some(SocketAddr::new(IpAddr::V4(ip), port))
    };
    let address = text.parse().ok().or_else(named);
    address.ok_or_else(|| {
        "write 127.0.0.1:3000 or localhost:3000, or :3000 for all addresses of this machine"
            .to_owned()
    })
}

/// Whether no two sockets can listen on these addresses.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let (one_ip, other_ip) = (one.ip(), other.ip());
    let all = one_ip.is_unspecified() || other_ip.is_unspecified();
    one.port() == other.port() && one.port() != 0 && (all || one_ip == other_ip)
}

/// The URL of a store; a path alone is one of SQLite. Other kinds are left to the store.
pub(super) fn store(text: &str) -> Result<String, String> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        // By some programs the path begins after the third slash, by others with it.
        let relative = path.trim_start_matches('/');
        let absolute = match path.len() - relative.len() {
            0 => String::new(),
            _ => format!(", or sqlite:/{relative} for an absolute path"),
        };
        return Err(format!(
            "the path stands right behind the colon: write sqlite:{relative}{absolute}"
        ));
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let is_path = scheme.is_none_or(|scheme| scheme.contains(['/', '.']))
        && (text.contains('/') || ENDINGS.iter().any(|ending| text.ends_with(ending)));
    Ok(if is_path {
        format!("sqlite:{text}")
    } else {
        text.to_owned()
    })
}

/// The option that is meant by one of another program, with its dashes.
pub(super) fn meant(option: &str) -> Option<&'static str> {
    match option {
        "--port" | "-p" | "--host" | "--bind" | "--address" => Some("--listen"),
        "--database" | "--db" | "--mongodb-uri" => Some("--store"),
        "--secret" => Some("--jwt-secret"),
        "--cors" | "--cors-origin" | "--origins" => Some("--allowed-origins"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_of_this_machine_by_name_or_of_all() {
        for (text, expected) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:3000", "127.0.0.1:3000"),
            ("LocalHost:0", "127.0.0.1:0"),
            (":3000", "0.0.0.0:3000"),
        ] {
            let address = address(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Ok(expected));
        }
        for text in [
            "",
            ":",
            "3000",
            "localhost",
            ":70000",
            "chat.example:80",
            "::1:x",
        ] {
            let why = address(text).expect_err(text);
            assert!(why.contains("localhost:3000"), "{why}");
        }
    }

    #[test]
    fn addresses_collide_on_one_port_of_one_address_or_of_all() {
        for (one, other, expected) in [
            ("127.0.0.1:3000", "127.0.0.1:3000", true),
            ("127.0.0.1:3000", "127.0.0.1:3001", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("0.0.0.0:3000", "127.0.0.1:3000", true),
            ("127.0.0.1:3000", "127.0.0.2:3000", false),
        ] {
            let [one, other] = [one, other].map(|text| text.parse().expect("an address"));
            assert_eq!(collide(one, other), expected, "{one} {other}");
            assert_eq!(collide(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_path_alone_is_a_file_of_sqlite() {
        for (text, expected) in [
            ("polychat.db", "sqlite:polychat.db"),
            ("a.b.sqlite3", "sqlite:a.b.sqlite3"),
            ("/var/lib/polychat/data", "sqlite:/var/lib/polychat/data"),
            ("./a:b.db", "sqlite:./a:b.db"),
            ("sqlite:x", "sqlite:x"),
            ("sqlite::memory:", "sqlite::memory:"),
            ("mongodb://a/b.db", "mongodb://a/b.db"),
            ("mongodb+srv://a/b", "mongodb+srv://a/b"),
            ("redis://x", "redis://x"),
            ("polychat", "polychat"),
        ] {
            assert_eq!(store(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn slashes_before_the_path_are_refused_with_what_to_write() {
        for (text, hint) in [
            ("sqlite://x.db", "write sqlite:x.db"),
            (
                "sqlite:///x.db",
                "write sqlite:x.db, or sqlite:/x.db for an absolute path",
            ),
            ("sqlite://:memory:", "write sqlite::memory:"),
        ] {
            let why = store(text).expect_err(text);
            assert!(why.ends_with(hint), "{why}");
        }
    }
}
