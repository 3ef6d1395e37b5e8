//! Owns how the generator waits for the server. Does not know the awaited events.

/// How the loop waits. A blocked epoll makes the server's send wake this process, and on loopback the server pays
/// for that wake-up (an interrupt to another CPU); a remote client costs it nothing of the kind. Sleeping on a timer
/// (nap) or not at all (spin) leaves the server with its own work only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    Block,
    Spin,
    /// Look every so many ns; latencies read up to this much too long.
    Nap(u64),
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wait::Block => f.write_str("block"),
            Wait::Spin => f.write_str("spin"),
            Wait::Nap(ns) => write!(f, "nap:{}", ns / 1000),
        }
    }
}

impl std::str::FromStr for Wait {
    type Err = String;
    fn from_str(s: &str) -> Result<Wait, String> {
        match s {
            "block" => Ok(Wait::Block),
            "spin" => Ok(Wait::Spin),
            _ => match s.strip_prefix("nap:").and_then(|n| n.parse::<u64>().ok()) {
                Some(us) if us > 0 => Ok(Wait::Nap(us * 1000)),
                _ => Err("block, spin or nap:MICROSECONDS".into()),
            },
        }
    }
}
