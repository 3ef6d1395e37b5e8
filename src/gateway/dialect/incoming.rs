//! A request as its transport received it, and the event in it.
//! Does not know the meaning of events.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tungstenite::Utf8Bytes;

use super::surrogates;
use super::untrusted_json::{RawFields, UntrustedJson, from_str};
use crate::hub::AckId;
use crate::model::Error;

/// A request as its transport received it.
#[derive(Debug)]
pub struct Incoming {
    /// The JSON; empty if there is none.
    pub text: Utf8Bytes,
    /// How an event stands in it.
    pub framing: Framing,
    /// The number under which the client waits for an acknowledgement.
    pub ack: Option<AckId>,
    /// An error that applies whatever the content, for example of a rate limit.
    pub admitted: Result<(), Error>,
    /// Whether binary attachments came with it, which no dialect takes.
    pub attachments: bool,
    /// When it came in.
    pub read: Instant,
}

/// How an event, a name with arguments, stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As Socket.IO's packet: `[name, argument, …]`.
    Packet,
    /// As the envelope of a raw WebSocket: `{"event": name, "data": argument}`.
    Envelope,
}

/// The fields by which a client matches a response with its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestRef {
    /// The event's name.
    pub name: String,
    /// The number under which the client waits for an acknowledgement.
    pub ack: Option<AckId>,
    /// The `request_id` in the envelope, to be echoed exactly as it was written. Null is none.
    pub request_id: Option<Arc<str>>,
}

/// A decoded event.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Value>,
    /// See [`RequestRef::request_id`].
    pub request_id: Option<Arc<str>>,
    /// What it was decoded from.
    pub source: Source,
}

/// The text of an event, for fields that are kept as they were written.
#[derive(Debug, Clone, Default)]
pub struct Source(Option<(Utf8Bytes, Framing)>);

impl Source {
    /// The JSON of a field, as it was written: of the argument with this index, under these keys.
    /// `None`: it is not there.
    pub fn field(&self, argument: usize, keys: &[&str]) -> Option<String> {
        let (text, framing) = self.0.as_ref()?;
        let text = surrogates::replaced(text);
        let mut json = match framing {
            Framing::Packet => {
                let packet: Vec<&RawValue> = serde_json::from_str(&text).ok()?;
                packet.get(argument + 1)?.get()
            }
            Framing::Envelope => field(&text, "data").filter(|_| argument == 0)?,
        };
        for key in keys {
            json = field(json, key)?;
        }
        Some(json.to_owned())
    }
}

/// The JSON of a field of an object.
fn field<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let RawFields(fields) = serde_json::from_str(object).ok()?;
    fields.get(key).map(|json| json.get())
}

impl Event {
    /// The first argument; one that is missing or null counts as an empty object.
    pub fn into_body(self) -> Value {
        or_empty(self.arguments.into_iter().next())
    }
}

/// A value, or an empty object in place of none and of null.
pub fn or_empty(value: Option<Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(value) => value,
    }
}

impl Incoming {
    /// The event in the text.
    ///
    /// # Errors
    /// `Invalid`: there is none.
    pub fn event(&self) -> Result<Event, Error> {
        let event = match self.framing {
            Framing::Packet => packet(&self.text),
            Framing::Envelope => envelope(&self.text),
        };
        event.map(|event| Event {
            source: Source(Some((self.text.clone(), self.framing))),
            ..event
        })
    }

    /// The fields by which a client matches a response with this request, as far as they can be
    /// decoded. The name is empty where it cannot.
    pub fn request_ref(&self) -> RequestRef {
        let (name, request_id) = match self.framing {
            Framing::Packet => (packet_name(&self.text), None),
            Framing::Envelope => {
                let event = envelope(&self.text).ok();
                let name = event.map(|event| event.name);
                (name, request_id(&self.text))
            }
        };
        RequestRef {
            name: name.unwrap_or_default(),
            ack: self.ack,
            request_id,
        }
    }
}

fn packet(text: &str) -> Result<Event, Error> {
    let malformed = |why: &str| Error::invalid("body", why);
    let packet: Vec<UntrustedJson> = from_str(text).map_err(|error| {
        // The library's text about JSON that is no list repeats it, however long it is.
        if error.is_data() {
            malformed("has no event name")
        } else {
            malformed(&format!("is not JSON: {error}"))
        }
    })?;
    let mut values = packet.into_iter().map(|UntrustedJson(value)| value);
    match values.next() {
        Some(Value::String(name)) => Ok(Event {
            name,
            arguments: values.collect(),
            request_id: None,
            source: Source::default(),
        }),
        _ => Err(malformed("has no event name")),
    }
}

/// The name in a packet, even if the rest of it cannot be read.
fn packet_name(text: &str) -> Option<String> {
    let text = surrogates::replaced(text);
    // JSON's whitespace only: anything else is no event.
    let list = text.trim_start_matches([' ', '\t', '\n', '\r']);
    let after = list.strip_prefix('[')?;
    let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
    values.next()?.ok()
}

fn envelope(text: &str) -> Result<Event, Error> {
    let UntrustedJson(frame) = from_str(text)
        .map_err(|error| Error::invalid("frame", &format!("is not JSON: {error}")))?;
    let Value::Object(mut frame) = frame else {
        return Err(Error::invalid("frame", "must be an object"));
    };
    let arguments = vec![or_empty(frame.remove("data"))];
    let request_id = frame.get("request_id").and_then(|_| request_id(text));
    match frame.remove("event") {
        Some(Value::String(name)) => Ok(Event {
            name,
            arguments,
            request_id,
            source: Source::default(),
        }),
        None => Err(Error::invalid("event", "is missing")),
        Some(_) => Err(Error::invalid("event", "must be a string")),
    }
}

/// The `request_id` in an envelope, as it was written.
fn request_id(text: &str) -> Option<Arc<str>> {
    let written = field(text, "request_id")?;
    (written != "null").then(|| written.into())
}
