//! Fuzz targets for the parts of an HTTP request: queries, bodies, cursors, names, keys, tokens.
//! Does not run the targets: `crate::fuzz` does.

use std::fmt::Write as _;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use serde::de::DeserializeOwned;

use super::body;
use super::cursor::{self, List};
use super::key;
use super::names::{ChatName, EventName, UserName};
use super::numbers;
use super::query::{self, FromQuery};
use super::{
    audit, chats, event_chats, events, members, messages, moderation, revocation, tokens, users,
};
use crate::fuzz::Target;
use crate::fuzz::invariants::{hold_error, hold_history};
use crate::gateway::credentials;
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::untrusted_json::{UntrustedJson, from_str};
use crate::model::{Error, ErrorKind};

/// Every target of this module.
pub const TARGETS: [Target; 6] = [QUERY, BODY, PAGE, NAME, KEY, CREDENTIALS];

const QUERY: Target = Target {
    name: "query",
    check: |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(uri) = format!("/api/v1/messages?{text}").parse::<Uri>() else {
            return;
        };
        parsed::<users::Users>(&uri);
        parsed::<chats::Chats>(&uri);
        parsed::<events::Events>(&uri);
        parsed::<audit::AuditLog>(&uri);
        if let Some(messages) = parsed::<messages::Messages>(&uri) {
            match messages.history() {
                Ok((history, _)) => hold_history(&history),
                Err(error) => hold_error(&error),
            }
        }
    },
};

const BODY: Target = Target {
    name: "body",
    check: |input| {
        given::<users::NewUser>(input);
        given::<users::UserChange>(input);
        given::<chats::NewChat>(input);
        given::<chats::Change>(input);
        given::<members::NewMembers>(input);
        given::<messages::NewMessage>(input);
        given::<events::NewEvent>(input);
        given::<events::Change>(input);
        given::<event_chats::NewEventChat>(input);
        given::<event_chats::Decision>(input);
        given::<tokens::NewToken>(input);
        given::<moderation::NewRole>(input);
        given::<moderation::Term>(input);
        given::<revocation::Revocation>(input);
    },
};

const PAGE: Target = Target {
    name: "page",
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        for list in [List::Users, List::Chats, List::Events] {
            if let Some(place) = held(cursor::after(list, Some(text))) {
                assert_eq!(cursor::write(list, place), text);
            }
        }
        if let Some(Some((list, seq))) = held(cursor::message(Some(text))) {
            assert_eq!(cursor::write(list, seq), text);
        }
        if let Some(Some(id)) = held(cursor::record(Some(text))) {
            let written = cursor::write(List::Audit, id);
            assert_eq!(held(cursor::record(Some(&written))), Some(Some(id)));
        }
        if let Some(Some(place)) = held(cursor::before(Some(text))) {
            let written = cursor::write(List::ActiveChats, CursorText(place));
            assert_eq!(held(cursor::before(Some(&written))), Some(Some(place)));
        }
    },
};

const NAME: Target = Target {
    name: "name",
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        comes_back(text, |UserName(user)| user);
        comes_back(text, |ChatName(chat)| chat);
        comes_back(text, |EventName(event)| event);
        let number = |text: &str| {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            numbers::whole(&mut deserializer).ok()
        };
        if let Some(whole) = number(text) {
            assert_eq!(number(&whole.to_string()), Some(whole), "{text}");
        }
    },
};

const KEY: Target = Target {
    name: "key",
    check: |input| {
        if let Some(name) = held(key::read(input)) {
            assert_eq!(name.as_bytes(), input);
            assert!((1..=255).contains(&name.len()));
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    },
};

const CREDENTIALS: Target = Target {
    name: "credentials",
    check: |input| {
        let Ok(value) = HeaderValue::from_bytes(input) else {
            return;
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value);
        let bare = Uri::from_static("/");
        if let Some(token) = credentials::of_request(&bare, &headers) {
            assert_eq!(token.trim(), token);
            assert!(token.len() + "bearer ".len() <= input.len());
        }
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let mut query = "/?EIO=4&token=".to_owned();
        for byte in input {
            let _ = write!(query, "%{byte:02X}");
        }
        let uri = query.parse().expect("an address");
        let token = credentials::of_request(&uri, &headers);
        assert_eq!(token.as_deref(), Some(text), "the query comes first");
        if let Ok(uri) = format!("/?{text}").parse() {
            let token = credentials::of_request(&uri, &HeaderMap::new());
            assert!(token.is_none_or(|token| token.len() <= text.len() * 3));
        }
    },
};

/// The decoded value; an error has a bounded text.
fn held<T>(read: Result<T, Error>) -> Option<T> {
    read.map_err(|error| hold_error(&error)).ok()
}

fn parsed<T: FromQuery>(uri: &Uri) -> Option<T> {
    held(query::read(uri))
}

/// A body that is read is read as well in other letters.
fn given<T: DeserializeOwned>(json: &[u8]) {
    match body::read::<T>(json) {
        Ok(_) => {
            let json = std::str::from_utf8(json).expect("it is text");
            // Not if a field that nothing reads has a number beyond any float.
            let Ok(UntrustedJson(value)) = from_str(json) else {
                return;
            };
            let again = body::read::<T>(value.to_string().as_bytes());
            assert!(again.is_ok(), "{value}");
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Invalid);
            hold_error(&error);
        }
    }
}

/// A name that is read is the same once it was written.
fn comes_back<N: FromStr, T: Display + PartialEq + Debug>(text: &str, inner: fn(N) -> T) {
    if let Some(named) = text.parse().ok().map(inner) {
        let again = named.to_string().parse().ok().map(inner);
        assert_eq!(again, Some(named), "{text}");
    }
}

#[cfg(test)]
mod tests;
