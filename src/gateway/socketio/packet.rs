//! The packet of an event: an array that begins with its name.
//! It refuses to know what any event means.

use serde_json::Value;

use crate::gateway::dialect::plain::Plain;
use crate::model::Error;

/// An event as it arrived.
#[derive(Debug)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// What followed the name.
    pub arguments: Vec<Value>,
}

impl Request {
    /// Reads the JSON of an event packet: an array that begins with the name.
    ///
    /// # Errors
    /// `Invalid`: it is something else.
    pub fn parse(packet: &str) -> Result<Self, Error> {
        let malformed = |why: &str| Error::invalid("body", why);
        let packet: Vec<Plain> = serde_json::from_str(packet).map_err(|error| {
            // What the library says of JSON that is no list repeats it, however long it is.
            if error.is_data() {
                malformed("has no event name")
            } else {
                malformed(&format!("is not JSON: {error}"))
            }
        })?;
        let mut values = packet.into_iter().map(|Plain(value)| value);
        match values.next() {
            Some(Value::String(name)) => Ok(Self {
                name,
                arguments: values.collect(),
            }),
            _ => Err(malformed("has no event name")),
        }
    }
}

/// The name of an event whose packet is otherwise unreadable; empty if that is unreadable,
/// too.
pub fn name_of(packet: &str) -> String {
    let after = packet.strip_prefix('[').unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
    values.next().and_then(Result::ok).unwrap_or_default()
}
