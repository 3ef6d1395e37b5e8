//! Places in lists, as clients carry them around.
//! It refuses to know how a list is kept.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::ChatCursor;

/// A [`ChatCursor`] as a text.
pub struct Next(pub ChatCursor);

impl FromStr for Next {
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

impl fmt::Display for Next {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0.active_at.as_millisecond(), self.0.pk)
    }
}
