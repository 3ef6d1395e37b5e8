//! Moves in what exists elsewhere: users, events, chats, messages with their authors and times, read positions.
//! Does not read files, nor overwrite what is there.

mod chat_record;
mod chats;
mod messages;
mod users;

use std::collections::HashMap;

use jiff::Timestamp;

use self::users::Users;
use super::{Limits, Service, access, store_error};
use crate::model::{
    Error, ErrorKind, EventPk, Identity, ImportRecord, ImportRefusal, Imported, ImportedChat,
    ImportedMessage, ImportedNames, ImportedNumbers, ImportedUser, MAX_CHAT_PK, MAX_ID, Reply,
};
use crate::store::transfer::Pks;

/// The most records of one request.
const RECORDS: usize = 1000;

/// The outcome of one record.
type Outcome = Result<Imported, Error>;

impl Service {
    /// Moves in records, in the order given: the users, events and chats that one names stand before it. One
    /// that is refused does not affect the others, and an unavailable store ends them all.
    pub(super) async fn import(
        &self,
        identity: &Identity,
        records: Vec<ImportRecord>,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        if records.len() > RECORDS {
            let limit = format_args!("{RECORDS} of them");
            return Err(Error::too_large("records", limit));
        }
        let now = self.clock.now();
        let checked = records.into_iter().map(|record| {
            let checked = check(&record, self.limits, now);
            checked.map(|()| record)
        });
        let mut users = Users::new(self);
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(checked.len());
        for run in runs(checked) {
            match run {
                Run::Users(run) => outcomes.extend(users.import(run).await),
                Run::Chats(run) => {
                    outcomes.extend(self.import_chats(identity, &mut users, run).await);
                }
                Run::Messages(run) => outcomes.extend(self.import_messages(&mut users, run).await),
                Run::Other(record) => outcomes.push(self.import_one(&mut users, record).await),
                Run::Refused(error) => outcomes.push(Err(error)),
            }
            if let Some(Err(error)) = outcomes.last()
                && error.kind == ErrorKind::Unavailable
            {
                return Err(error.clone());
            }
        }
        let outcomes = outcomes.into_iter();
        let refusal = |error| ImportRefusal::from(renamed(error));
        let outcomes = outcomes.map(|outcome| outcome.map_err(refusal));
        Ok(Reply::Imported(outcomes.collect()))
    }

    async fn import_one(&self, users: &mut Users<'_>, record: ImportRecord) -> Outcome {
        match record {
            ImportRecord::Event(event) => users.import_event(*event).await,
            ImportRecord::Read(read) => self.import_read(users, read).await,
            ImportRecord::Numbers(numbers) => self.import_numbers(numbers).await,
            ImportRecord::User(_) | ImportRecord::Chat(_) | ImportRecord::Message(_) => {
                Err(Error::new(ErrorKind::Internal, "a record out of its run"))
            }
        }
    }

    async fn import_numbers(&self, numbers: ImportedNumbers) -> Outcome {
        let there = self.store.counters().await.map_err(store_error)?;
        let later = Pks {
            user: there.user.max(numbers.users),
            chat: there.chat.max(numbers.chats),
            event: there.event.max(numbers.events),
        };
        if later != there {
            self.store.take_counters(later).await.map_err(store_error)?;
        }
        let is_new = later != there;
        Ok(Imported {
            is_new,
            names: ImportedNames::Nothing,
        })
    }
}

/// Checks a record alone: its lengths, its numbers, and that a second import finds it.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub fn check(record: &ImportRecord, limits: Limits, now: Timestamp) -> Result<(), Error> {
    let checked = match record {
        ImportRecord::User(user) => users::check(user),
        ImportRecord::Event(event) => users::check_event(event),
        ImportRecord::Chat(chat) => chats::check(chat, limits),
        ImportRecord::Message(message) => messages::check(message, limits, now),
        ImportRecord::Numbers(numbers) => check_numbers(*numbers),
        ImportRecord::Read(_) => Ok(()),
    };
    checked.map_err(renamed)
}

fn check_numbers(numbers: ImportedNumbers) -> Result<(), Error> {
    let ImportedNumbers {
        users,
        chats,
        events,
    } = numbers;
    for (field, number, most) in [
        ("users", users, MAX_ID),
        ("chats", chats, MAX_CHAT_PK),
        ("events", events, MAX_ID),
    ] {
        if number > most {
            return Err(Error::invalid(field, &format!("is greater than {most}")));
        }
    }
    Ok(())
}

/// The names of some fields in the service, and in a record.
const NAMES: [(&str, &str); 4] = [
    ("msg:", "text:"),
    ("type:", "kind:"),
    ("user.", ""),
    ("chat.", ""),
];

/// The same error with the field names of records.
fn renamed(error: Error) -> Error {
    error.with_names(&NAMES)
}

/// Records that are written together.
enum Run {
    Users(Vec<ImportedUser>),
    Chats(Vec<ImportedChat>),
    Messages(Vec<ImportedMessage>),
    Other(ImportRecord),
    Refused(Error),
}

/// The records in their order, those of one kind together.
fn runs(records: impl Iterator<Item = Result<ImportRecord, Error>>) -> Vec<Run> {
    let mut runs = Vec::new();
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                runs.push(Run::Refused(error));
                continue;
            }
        };
        match (runs.last_mut(), record) {
            (Some(Run::Users(run)), ImportRecord::User(user)) => run.push(*user),
            (Some(Run::Chats(run)), ImportRecord::Chat(chat)) => run.push(*chat),
            (Some(Run::Messages(run)), ImportRecord::Message(message)) => run.push(*message),
            (_, ImportRecord::User(user)) => runs.push(Run::Users(vec![*user])),
            (_, ImportRecord::Chat(chat)) => runs.push(Run::Chats(vec![*chat])),
            (_, ImportRecord::Message(message)) => runs.push(Run::Messages(vec![*message])),
            (_, record) => runs.push(Run::Other(record)),
        }
    }
    runs
}

/// A record that was there before.
const fn found(names: ImportedNames) -> Imported {
    let is_new = false;
    Imported { is_new, names }
}

/// A record that was not.
const fn made(names: ImportedNames) -> Imported {
    let is_new = true;
    Imported { is_new, names }
}

fn event_names(pk: EventPk) -> ImportedNames {
    ImportedNames::Event { pk }
}

/// The error of a number or an id that belongs to another record.
fn taken(field: &str, noun: &str) -> Error {
    let why = format!("{field}: another {noun} has it");
    Error::new(ErrorKind::Conflict, why)
}

/// The first record of each name: of a second one in the same run the outcome is that of the first.
fn first_of<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut first = HashMap::new();
    let index = |(index, key)| *first.entry(key).or_insert(index);
    keys.enumerate().map(index).collect()
}
