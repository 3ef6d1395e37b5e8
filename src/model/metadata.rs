//! What an application attaches to a message: a JSON object, kept and given back as it was written.
//! Does not know its content.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON object that is not empty. A clone shares it.
#[derive(Debug, Clone)]
pub struct Metadata(Arc<RawValue>);

impl Metadata {
    /// The most bytes that it has.
    pub const BYTES: usize = 4096;

    /// This JSON; `None`: it is none.
    pub fn of_json(json: String) -> Option<Self> {
        let json = RawValue::from_string(json).ok()?;
        Some(Self(json.into()))
    }

    /// The JSON.
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Metadata {}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_came() {
        let json = r#"{"b": 1.0, "a":[ "\u00e9" ]}"#;
        let metadata = Metadata::of_json(json.to_owned()).expect("JSON");
        assert_eq!(serde_json::to_string(&metadata).expect("JSON"), json);
        assert_eq!(metadata, metadata.clone());
        assert!(Metadata::of_json("{".to_owned()).is_none());
    }
}
