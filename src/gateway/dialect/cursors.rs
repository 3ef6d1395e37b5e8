//! Cursors of paged lists.
//! Does not know how a list is stored.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::decode::Text;
use crate::model::ChatCursor;

/// A [`ChatCursor`] as a text.
pub struct CursorText(pub ChatCursor);

impl FromStr for CursorText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, pk) = text.split_once('.').ok_or(())?;
        let millisecond = at.parse().map_err(drop)?;
        Ok(Self(ChatCursor {
            active_at: Timestamp::from_millisecond(millisecond).map_err(drop)?,
            pk: pk.parse().map_err(drop)?,
        }))
    }
}

impl<'de> Deserialize<'de> for CursorText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let wrong = |()| D::Error::custom("must be the `next` of an earlier answer");
        text.parse().map_err(wrong)
    }
}

impl fmt::Display for CursorText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0.active_at.as_millisecond(), self.0.pk)
    }
}
