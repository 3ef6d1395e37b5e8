//! The chats of a `sync` request, under the names that the client gave them, and the body of the
//! response, shared by all dialects.
//! Does not know how a dialect encodes a message.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::whole;
use crate::model::{
    ChatPk, ChatRef, Command, Error, KnownId, KnownUpTo, MAX_ID, Message, Missed, PageBudget, Seq,
    UserId,
};

/// As much of a wrong id as an error repeats, in characters.
const SHOWN: usize = 64;

/// A request for missed messages: chats, each with the latest message that the client knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// In the order of the request; `None` for names that no chat can have.
    names: Vec<(String, Option<(ChatRef, KnownUpTo)>)>,
}

impl SyncRequest {
    /// Decodes the field `chats`; `chat` decodes the name of one.
    ///
    /// # Errors
    /// `Invalid`: it is missing or no object, or a value in it is no number and has no `seq`.
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
        let names = chats.iter().map(|(name, value)| {
            let known = known(value).ok_or_else(|| {
                let mut field = format!("{field}.{}", shown(name));
                if value.is_object() {
                    field.push_str(".seq");
                }
                Error::invalid(&field, "must be a whole number of at least 0")
            })?;
            Ok((name.clone(), chat(name).map(|chat| (chat, known))))
        });
        let names = names.collect::<Result<_, Error>>()?;
        Ok(Self { names })
    }

    /// Whether it names no chat.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The chats and seqs.
    pub fn chats(&self) -> Vec<(ChatRef, KnownUpTo)> {
        self.names.iter().filter_map(|(_, chat)| *chat).collect()
    }

    /// The command for it, on behalf of this user.
    pub fn command(&self, user: Option<UserId>) -> Command {
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
            let missed = chat.and_then(|_| synced.next()?.as_ref());
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
                        reset: missed.reset,
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
    name.parse().ok().map(ChatRef::Id)
}

/// The chat whose number this is.
pub fn by_pk(name: &str) -> Option<ChatRef> {
    let pk: ChatPk = name.trim().parse().ok()?;
    (1..=MAX_ID).contains(&pk).then_some(ChatRef::Pk(pk))
}

/// A number, or an object with one: `{seq, id?}`. Other keys are ignored.
fn known(value: &Value) -> Option<KnownUpTo> {
    let Value::Object(fields) = value else {
        return number(value).map(KnownUpTo::from);
    };
    let seq = number(fields.get("seq")?)?;
    let id = match fields.get("id") {
        None | Some(Value::Null) => None,
        Some(id) => {
            let text = id.as_str().and_then(|text| text.parse().ok());
            let pair = whole::of_json(id).map(KnownId::Pair);
            Some(text.map(KnownId::Id).or(pair).unwrap_or(KnownId::Other))
        }
    };
    Some(KnownUpTo { seq, id })
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
        /// See [`Missed::reset`].
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
    },
    /// No chat of the caller's: a chat that was left does not spoil the others.
    Missing {
        /// Why.
        error: Reason,
    },
}

impl<Body> SyncedChat<Body> {
    /// The chat without the messages, which are sent one by one.
    pub const fn announced(missed: &Missed) -> Self {
        Self::Found {
            messages: Vec::new(),
            head: missed.head,
            has_more: missed.has_more,
            reset: missed.reset,
        }
    }

    /// There is no chat of this name for the caller.
    pub fn missing(name: &str) -> Self {
        let error = Error::not_found(format_args!("chat {}", shown(name)));
        Self::Missing {
            error: Reason {
                code: error.kind.code(),
                retryable: error.kind.is_retryable(),
                message: error.message,
            },
        }
    }
}

/// Why there is nothing of a chat.
#[derive(Serialize)]
pub struct Reason {
    code: &'static str,
    retryable: bool,
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
