//! The chats of a `sync` request, under the names that the client gave them, and the body of the
//! response, shared by all dialects.
//! Does not know how a dialect encodes a message.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::whole;
use crate::model::{
    ChatPk, ChatRef, Command, Error, MAX_ID, Message, Missed, PageBudget, Seq, UserRef,
};

/// As much of a wrong id as an error repeats, in characters.
const SHOWN: usize = 64;

/// A request for missed messages: chats, each with the latest seq that the client knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// In the order of the request; `None` for names that no chat can have.
    names: Vec<(String, Option<(ChatRef, Seq)>)>,
}

impl SyncRequest {
    /// Decodes the field `chats`; `chat` decodes the name of one.
    ///
    /// # Errors
    /// `Invalid`: it is missing or no object, or a number in it is none.
    pub fn read(
        chats: Option<&Value>,
        field: &str,
        chat: fn(&str) -> Option<ChatRef>,
    ) -> Result<Self, Error> {
        let chats = match chats {
            None | Some(Value::Null) => return Err(Error::invalid(field, "is missing")),
            Some(Value::Object(chats)) => chats,
            Some(_) => return Err(Error::invalid(field, "must be an object")),
        };
        let names = chats.iter().map(|(name, seq)| {
            let after = number(seq).ok_or_else(|| {
                let field = format!("{field}.{}", shown(name));
                Error::invalid(&field, "must be a whole number of at least 0")
            })?;
            Ok((name.clone(), chat(name).map(|chat| (chat, after))))
        });
        let names = names.collect::<Result<_, Error>>()?;
        Ok(Self { names })
    }

    /// Whether it names no chat.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The chats and seqs.
    pub fn chats(&self) -> Vec<(ChatRef, Seq)> {
        self.names
            .iter()
            .filter_map(|(_, chat)| chat.clone())
            .collect()
    }

    /// The command for it, on behalf of this user.
    pub fn command(&self, user: Option<UserRef>) -> Command {
        Command::Sync {
            user,
            chats: self.chats(),
            until: HashMap::new(),
            budget: PageBudget::RESPONSE,
        }
    }

    /// The chats, under the names of the request; `None`: no such chat, or not for the caller.
    pub fn found<'a>(&'a self, synced: &'a [Option<Missed>]) -> Vec<(&'a str, Option<&'a Missed>)> {
        let mut synced = synced.iter();
        let found = self.names.iter().map(|(name, chat)| {
            let missed = chat.as_ref().and_then(|_| synced.next()?.as_ref());
            (&**name, missed)
        });
        found.collect()
    }

    /// The body of the response, its messages encoded by `write`.
    pub fn response<'a, Body: Serialize>(
        &'a self,
        synced: &'a [Option<Missed>],
        write: impl Fn(&'a Message) -> Body,
    ) -> SyncResponse<'a, Body> {
        let found = self.found(synced).into_iter();
        let parts = found.map(|(name, missed)| {
            let part = missed.map_or_else(
                || SyncedChat::missing(name),
                |missed| {
                    let messages = missed.messages.iter();
                    SyncedChat::Found {
                        messages: messages.map(|message| write(message)).collect(),
                        head: missed.head,
                        has_more: missed.has_more,
                    }
                },
            );
            (name, part)
        });
        SyncResponse {
            chats: parts.collect(),
        }
    }
}

/// The chat whose id this is.
pub fn by_id(name: &str) -> Option<ChatRef> {
    ChatRef::external(name).or_else(|| name.parse().ok().map(ChatRef::Id))
}

/// The chat whose number this is.
pub fn by_pk(name: &str) -> Option<ChatRef> {
    let pk: ChatPk = name.trim().parse().ok()?;
    (1..=MAX_ID).contains(&pk).then_some(ChatRef::Pk(pk))
}

/// A whole number of at least 0.
fn number(value: &Value) -> Option<Seq> {
    whole::of_json(value).filter(|number| *number >= 0)
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

/// The body of a response.
#[derive(Serialize)]
pub struct SyncResponse<'a, Body> {
    /// By the names of the request.
    pub chats: BTreeMap<&'a str, SyncedChat<Body>>,
}

impl<Body> Default for SyncResponse<'_, Body> {
    fn default() -> Self {
        let chats = BTreeMap::new();
        Self { chats }
    }
}

/// One chat in a response.
#[derive(Serialize)]
#[serde(untagged)]
pub enum SyncedChat<Body> {
    /// The missed messages.
    Found {
        /// Oldest first.
        messages: Vec<Body>,
        /// See [`Missed::head`].
        head: Seq,
        /// See [`Missed::has_more`].
        has_more: bool,
    },
    /// No chat of the caller's: a chat that was left does not spoil the others.
    Missing {
        /// Why.
        error: Reason,
    },
}

impl<Body> SyncedChat<Body> {
    /// There is more to request.
    pub const fn more(head: Seq) -> Self {
        Self::Found {
            messages: Vec::new(),
            head,
            has_more: true,
        }
    }

    /// There is no chat of this name for the caller.
    pub fn missing(name: &str) -> Self {
        let error = Error::not_found(format_args!("chat {}", shown(name)));
        Self::Missing {
            error: Reason {
                code: error.kind.code(),
                message: error.message,
            },
        }
    }
}

/// Why there is nothing of a chat.
#[derive(Serialize)]
pub struct Reason {
    code: &'static str,
    message: String,
}

/// A message of a dialect that does not show its seq otherwise.
#[derive(Serialize)]
pub struct Numbered<Body> {
    /// Its seq.
    pub seq: Seq,
    /// The message.
    #[serde(flatten)]
    pub message: Body,
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
