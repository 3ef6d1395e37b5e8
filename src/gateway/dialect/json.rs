//! A JSON text that many clients are sent: whatever is made of it on the way, once.
//! It refuses to know what stands in it, and on which way it goes.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON value, encoded.
#[derive(Debug)]
pub struct Json {
    text: Box<RawValue>,
    packet: OnceLock<(&'static str, Bytes)>,
}

impl Json {
    /// What `body` says. The structs of the dialects hold strings, numbers and lists: there is
    /// nothing that JSON cannot say.
    pub fn of(body: &(impl Serialize + ?Sized)) -> Arc<Self> {
        let text = to_raw_value(body).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Arc::new(Self {
            text,
            packet: OnceLock::new(),
        })
    }

    /// What goes over the wire when this is sent under this name, made by `make` the first time
    /// that it is asked for.
    pub fn packet(&self, name: &'static str, make: impl Fn(&RawValue) -> Bytes) -> Bytes {
        let (known, packet) = self.packet.get_or_init(|| (name, make(&self.text)));
        if *known == name {
            packet.clone()
        } else {
            make(&self.text)
        }
    }
}

impl Deref for Json {
    type Target = RawValue;

    fn deref(&self) -> &RawValue {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_made_once_for_each_name() {
        let json = Json::of(&[1, 2]);
        let count = std::cell::Cell::new(0);
        let make = |body: &RawValue| {
            count.set(count.get() + 1);
            Bytes::copy_from_slice(body.get().as_bytes())
        };
        assert_eq!(json.packet("one", make), "[1,2]");
        assert_eq!(json.packet("one", make), "[1,2]");
        assert_eq!(count.get(), 1);
        let other = |_: &RawValue| Bytes::from_static(b"other");
        assert_eq!(json.packet("another", other), "other");
        assert_eq!(json.packet("one", make), "[1,2]");
    }
}
