//! Which web pages may use the server from a browser.
//! Does not identify the caller: clients other than browsers send no `Origin`.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;

/// How long nothing more is logged about an origin.
const PAUSE: Duration = Duration::from_mins(1);

/// About how many origins something is logged in that time: a client that is no browser may send any.
const ORIGINS: usize = 32;

/// The longest origin that is logged, in bytes.
const LONGEST: usize = 300;

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

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listed(listed) = self else {
            return f.write_str("any");
        };
        f.write_str("the server's own")?;
        for origin in listed {
            write!(f, ", {}", String::from_utf8_lossy(origin.as_bytes()))?;
        }
        Ok(())
    }
}

/// Which refusals of pages are logged: one of each origin in a minute.
#[derive(Debug, Default)]
pub struct RefusedPages {
    logged: Mutex<HashMap<HeaderValue, Instant>>,
}

impl RefusedPages {
    /// Whether the refusal of a page of this origin is to be logged.
    pub fn logs(&self, origin: &HeaderValue, now: Instant) -> bool {
        let mut logged = self.logged.lock();
        let recent = |at: &Instant| now.duration_since(*at) < PAUSE;
        if origin.len() > LONGEST || logged.get(origin).is_some_and(recent) {
            return false;
        }
        if logged.len() >= ORIGINS {
            logged.retain(|_, at| recent(at));
        }
        logged.len() < ORIGINS && {
            logged.insert(origin.clone(), now);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_logged_once_a_minute_and_few_origins_are() {
        let refused = RefusedPages::default();
        let origin = |number| HeaderValue::from_str(&format!("https://{number}.example"));
        let origin = |number: usize| origin(number).expect("an origin");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(refused.logs(&origin(0), start));
        assert!(!refused.logs(&origin(0), at(59)));
        assert!(refused.logs(&origin(0), at(60)));
        for number in 1..ORIGINS {
            assert!(refused.logs(&origin(number), at(61)));
        }
        assert!(!refused.logs(&origin(ORIGINS), at(62)));
        assert!(refused.logs(&origin(ORIGINS), at(120)));
        let long = HeaderValue::from_str(&"x".repeat(LONGEST + 1)).expect("a value");
        assert!(!refused.logs(&long, at(200)));
    }

    #[test]
    fn the_allowed_origins_can_be_read() {
        assert_eq!(Origins::Any.to_string(), "any");
        assert_eq!(Origins::Listed(Vec::new()).to_string(), "the server's own");
        let listed = Origins::Listed(vec![HeaderValue::from_static("https://a.example")]);
        assert_eq!(listed.to_string(), "the server's own, https://a.example");
    }
}
