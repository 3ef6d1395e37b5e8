//! Owns decoding the answer to `sync`: the messages that a client has missed. Does not know the client.

use crate::dialect::Dialect;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::HashMap;

/// Of one chat, oldest first.
#[derive(Deserialize)]
pub struct Page<'a> {
    #[serde(borrow, default)]
    pub messages: Vec<Missed<'a>>,
    #[serde(default)]
    pub has_more: bool,
    error: Option<IgnoredAny>,
}

/// A message as far as it is looked at.
#[derive(Deserialize)]
pub struct Missed<'a> {
    pub seq: u32,
    #[serde(borrow, alias = "msg")]
    pub text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Chats<'a> {
    #[serde(borrow)]
    chats: HashMap<Cow<'a, str>, Page<'a>>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    data: Option<Chats<'a>>,
}

/// The page of the one requested chat, out of an answer.
pub fn answered(dialect: Dialect, body: &[u8]) -> Result<Page<'_>, String> {
    let chats = match dialect {
        Dialect::Socketio => serde_json::from_slice::<(Chats,)>(body).map(|(chats,)| Some(chats)),
        Dialect::Action | Dialect::Type => {
            serde_json::from_slice::<Reply>(body).map(|reply| reply.data)
        }
    };
    only(chats, body)
}

/// The same out of the event that Socket.IO clients are sent without a request.
pub fn pushed(body: &[u8]) -> Result<Page<'_>, String> {
    let event = serde_json::from_slice::<(IgnoredAny, Chats)>(body);
    only(event.map(|(_, chats)| Some(chats)), body)
}

fn only<'a>(
    chats: serde_json::Result<Option<Chats<'a>>>,
    body: &'a [u8],
) -> Result<Page<'a>, String> {
    let refused = || format!("sync was answered {}", String::from_utf8_lossy(body));
    let mut pages = chats
        .map_err(|e| format!("{e}: {}", refused()))?
        .ok_or_else(refused)?
        .chats
        .into_values();
    match (pages.next(), pages.next()) {
        (Some(page), None) if page.error.is_none() => Ok(page),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"chats":{"12":{"messages":[{"seq":18,"id":3,"TEXT":"So\"up"}],"head":18,"has_more":true}}}"#;

    fn numbers(page: &Page) -> (Vec<(u32, String)>, bool) {
        let messages = page
            .messages
            .iter()
            .map(|each| (each.seq, each.text.to_string()));
        (messages.collect(), page.has_more)
    }

    #[test]
    fn a_page_is_found_in_each_dialects_answer() {
        let expected = (vec![(18, "So\"up".to_string())], true);
        let socketio = format!("[{}]", PAGE.replace("TEXT", "msg"));
        let action = format!(
            r#"{{"errors":[],"data":{},"action":"sync","response_status":200}}"#,
            PAGE.replace("TEXT", "text")
        );
        let type_data = format!(
            r#"{{"type":"sync","data":{}}}"#,
            PAGE.replace("TEXT", "text")
        );
        let event = format!(r#"["sync",{}]"#, PAGE.replace("TEXT", "msg"));
        assert_eq!(
            numbers(&answered(Dialect::Socketio, socketio.as_bytes()).unwrap()),
            expected
        );
        assert_eq!(
            numbers(&answered(Dialect::Action, action.as_bytes()).unwrap()),
            expected
        );
        assert_eq!(
            numbers(&answered(Dialect::Type, type_data.as_bytes()).unwrap()),
            expected
        );
        assert_eq!(numbers(&pushed(event.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn a_refusal_is_no_page() {
        for body in [
            r#"{"errors":["Not found"],"data":null}"#,
            r#"{"data":{"chats":{"1":{"error":{"code":"not_found"}}}}}"#,
            r#"{"data":{"chats":{}}}"#,
            "{",
        ] {
            assert!(
                answered(Dialect::Action, body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
