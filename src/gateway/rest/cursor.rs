//! Cursors: the end of a page of a list, as an opaque text.
//! Does not know how a list is kept.

use std::fmt::Display;
use std::str::FromStr;

use super::names::pk;
use crate::gateway::dialect::cursors::CursorText;
use crate::model::{AuditId, ChatCursor, Error, Seq};

/// The lists that have pages. A cursor is valid only for the list that returned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// All users.
    Users,
    /// All chats.
    Chats,
    /// A user's chats.
    ActiveChats,
    /// Events.
    Events,
    /// Messages, towards the first one.
    Earlier,
    /// Messages, towards the last one.
    Later,
    /// The audit log.
    Audit,
}

impl List {
    const fn letter(self) -> char {
        match self {
            Self::Users => 'u',
            Self::Chats => 'c',
            Self::ActiveChats => 'a',
            Self::Events => 'e',
            Self::Earlier => 'b',
            Self::Later => 'f',
            Self::Audit => 'l',
        }
    }

    /// The part after its letter.
    fn place(self, text: &str) -> Option<&str> {
        text.strip_prefix(self.letter())
    }
}

/// The place in this list.
pub fn write(list: List, place: impl Display) -> String {
    format!("{}{place}", list.letter())
}

/// After which number a page begins: 0 without a cursor.
///
/// # Errors
/// `Invalid`: it was not given out for this list.
pub fn after(list: List, cursor: Option<&str>) -> Result<i64, Error> {
    let Some(cursor) = cursor else { return Ok(0) };
    let place = list.place(cursor).and_then(pk);
    place.ok_or_else(wrong)
}

/// Before which chat a page of a user's chats begins.
///
/// # Errors
/// `Invalid`: it was not given out for this list.
pub fn before(cursor: Option<&str>) -> Result<Option<ChatCursor>, Error> {
    let read = |text| CursorText::from_str(List::ActiveChats.place(text)?).ok();
    let place = cursor.map(|cursor| read(cursor).ok_or_else(wrong));
    Ok(place.transpose()?.map(|CursorText(place)| place))
}

/// In which direction the next page of a history lies, and from which message.
///
/// # Errors
/// `Invalid`: it was not given out for this list.
pub fn message(cursor: Option<&str>) -> Result<Option<(List, Seq)>, Error> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let place = [List::Earlier, List::Later].into_iter().find_map(|list| {
        let seq = list.place(cursor).and_then(pk)?;
        Some((list, seq))
    });
    place.map(Some).ok_or_else(wrong)
}

/// After which record a page of the audit log begins.
///
/// # Errors
/// `Invalid`: it was not given out for this list.
pub fn record(cursor: Option<&str>) -> Result<Option<AuditId>, Error> {
    let read = |text| List::Audit.place(text)?.parse().ok();
    let place = cursor.map(|cursor| read(cursor).ok_or_else(wrong));
    place.transpose()
}

fn wrong() -> Error {
    Error::invalid("cursor", "must be the `next` of an earlier answer")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_given_out() {
        let cursor = write(List::Users, 12);
        assert_eq!(after(List::Users, Some(&cursor)).expect("a place"), 12);
        let place = ChatCursor {
            active_at: Timestamp::from_millisecond(1_740_836_400_123).expect("a time"),
            pk: 3,
        };
        let cursor = write(List::ActiveChats, CursorText(place));
        assert_eq!(before(Some(&cursor)).expect("a place"), Some(place));
        let cursor = write(List::Earlier, 5);
        let found = message(Some(&cursor)).expect("a place");
        assert_eq!(found, Some((List::Earlier, 5)));
    }

    #[test]
    fn no_cursor_is_the_beginning() {
        assert_eq!(after(List::Users, None).expect("a place"), 0);
        assert_eq!(before(None).expect("a place"), None);
        assert_eq!(message(None).expect("a place"), None);
    }

    #[test]
    fn a_cursor_of_another_list_is_invalid() {
        for wrong in [
            "",
            "u",
            "u0",
            "u-1",
            "u+1",
            "c12",
            "12",
            "u99999999999999999",
            "é",
        ] {
            assert!(after(List::Users, Some(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["", "a", "a1", "a1.", "a.1", "u1", "a99999999999999999999.1"] {
            assert!(before(Some(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["", "b", "u1", "b-1"] {
            assert!(message(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
