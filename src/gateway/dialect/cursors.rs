//! Cursors of paged lists.
//! Does not know how a list is stored.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::decode::Text;
use crate::model::{ChatCursor, VisibleCursor};

/// The error of a text that is no cursor.
pub const NO_CURSOR: &str = "must be the `next` of an earlier answer";

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
        let wrong = |()| D::Error::custom(NO_CURSOR);
        text.parse().map_err(wrong)
    }
}

impl fmt::Display for CursorText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0.active_at.as_millisecond(), self.0.pk)
    }
}

/// A [`VisibleCursor`] as a text.
pub struct VisibleText(pub VisibleCursor);

impl FromStr for VisibleText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (part, pk) = text.split_once('.').ok_or(())?;
        let own = match part {
            "own" => true,
            "open" => false,
            _ => return Err(()),
        };
        let pk = pk.parse().map_err(drop)?;
        Ok(Self(VisibleCursor { own, pk }))
    }
}

impl fmt::Display for VisibleText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.0.own { "own" } else { "open" };
        write!(out, "{part}.{}", self.0.pk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was_given_out() {
        for own in [true, false] {
            let place = VisibleCursor { own, pk: 12 };
            let text = VisibleText(place).to_string();
            assert_eq!(text.parse::<VisibleText>().map(|text| text.0), Ok(place));
        }
        for other in ["", "12", "own", "own.", "own.x", "all.1", "1740836400123.3"] {
            assert!(other.parse::<VisibleText>().is_err(), "{other}");
        }
    }
}
