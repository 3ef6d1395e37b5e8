//! The first pass over a file: reads every line, remembers where it is, and finds what contradicts itself.
//! Does not keep records in memory: of each only its place.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ImportError;
use super::file::{Lines, Place};
use super::report::Report;
use crate::gateway::archive::{self, Line};
use crate::model::{ChatRef, Error, ImportRecord, ImportedChat, ImportedMessage, ImportedUser};

/// Where a record is in the file, and by what it is ordered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    rank: Rank,
    /// The chat of a message, by [`Names`].
    chat: u32,
    /// The time of a message, in microseconds since 1970.
    at: i64,
    place: Place,
}

/// The order of the kinds: each names only those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    User,
    Event,
    Chat,
    Message,
    Read,
    Numbers,
}

/// A file that was read once.
pub(super) struct Checked {
    path: PathBuf,
    lines: Lines,
    /// The records in the order in which they are imported.
    pub(super) places: Vec<Record>,
    /// The time of the first message of each chat in the file, by [`Names`]; [`i64::MAX`]: it has none.
    first: Vec<i64>,
    names: Names,
    pub(super) report: Report,
}

/// The names of chats, each with a small number; names of one chat have the same one in the end.
#[derive(Default)]
struct Names {
    numbers: HashMap<ChatRef, u32>,
    /// The number of each that counts instead.
    same: Vec<u32>,
    /// Whether a line describes it.
    described: Vec<bool>,
}

impl Names {
    fn number(&mut self, chat: &ChatRef) -> u32 {
        if let Some(number) = self.numbers.get(chat) {
            return self.root(*number);
        }
        let number = u32::try_from(self.same.len()).unwrap_or(u32::MAX);
        self.numbers.insert(chat.clone(), number);
        self.same.push(number);
        self.described.push(false);
        number
    }

    fn root(&self, mut number: u32) -> u32 {
        while let Some(same) = self.same.get(index(number))
            && *same != number
        {
            number = *same;
        }
        number
    }

    /// The number of a chat with all of its names.
    fn describe(&mut self, chat: &ImportedChat) -> Option<u32> {
        let external = chat.external_id.as_deref().map(Into::into);
        let names = [
            chat.id.map(ChatRef::Id),
            external.map(ChatRef::External),
            chat.pk.map(ChatRef::Pk),
        ];
        let numbers = names.iter().flatten();
        let numbers: Vec<_> = numbers.map(|name| self.number(name)).collect();
        let first = *numbers.first()?;
        for number in numbers {
            self.same[index(number)] = first;
        }
        self.described[index(first)] = true;
        Some(first)
    }
}

fn index(number: u32) -> usize {
    number as usize
}

/// What may stand in a file only once, by a hash; the first line of each.
#[derive(Default)]
struct Once {
    hasher: RandomState,
    lines: HashMap<u64, u32>,
}

impl Once {
    /// The line that has it already.
    fn before(&mut self, name: impl std::hash::Hash, line: u32) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let first = *self.lines.entry(hash).or_insert(line);
        (first != line).then_some(first)
    }
}

/// The state of the first pass.
struct Pass<'a> {
    places: Vec<Record>,
    first: Vec<i64>,
    names: Names,
    once: Once,
    report: Report,
    has_header: bool,
    fits: &'a dyn Fn(&ImportRecord) -> Result<(), Error>,
    wrong: &'a mut (dyn FnMut(u32, &str) + Send),
}

impl Checked {
    /// Reads the file. `wrong` is called for each line at fault: those that cannot be read, contradict an earlier
    /// one, or do not fit.
    pub(super) fn read(
        path: &Path,
        fits: &dyn Fn(&ImportRecord) -> Result<(), Error>,
        wrong: &mut (dyn FnMut(u32, &str) + Send),
    ) -> Result<Self, ImportError> {
        let failed = |error| ImportError::File {
            file: path.to_owned(),
            error,
        };
        let mut lines = Lines::open(path).map_err(failed)?;
        let mut pass = Pass {
            places: Vec::new(),
            first: Vec::new(),
            names: Names::default(),
            once: Once::default(),
            report: Report::default(),
            has_header: false,
            fits,
            wrong,
        };
        let read = lines.each(|place, line| pass.line(place, line));
        read.map_err(failed)?;
        if !pass.has_header && pass.report.wrong == 0 {
            let why = "it is empty; the first line has to be {\"type\":\"polychat\",\"version\":1}";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let Pass {
            mut places,
            mut first,
            names,
            mut report,
            ..
        } = pass;
        for record in &mut places {
            record.chat = names.root(record.chat);
        }
        places.sort_by_key(|record| (record.rank, record.chat, record.at, record.place.number));
        report.undescribed = undescribed(&names);
        for number in 0..u32::try_from(first.len()).unwrap_or(u32::MAX) {
            let root = index(names.root(number));
            first[root] = first[root].min(first[index(number)]);
        }
        Ok(Self {
            path: path.to_owned(),
            lines,
            places,
            first,
            names,
            report,
        })
    }

    /// The records from this one on, as many as are sent at a time; `None`: there are none.
    pub(super) fn batch(
        &self,
        from: usize,
        most: usize,
        bytes: u64,
    ) -> Result<Option<Vec<(u32, ImportRecord)>>, ImportError> {
        let mut batch = Vec::new();
        let mut length = 0;
        for record in self.places.iter().skip(from).take(most) {
            length += record.place.length();
            if length > bytes && !batch.is_empty() {
                break;
            }
            let read = self.record(record.place);
            let read = read.map_err(|error| ImportError::File {
                file: self.path.clone(),
                error,
            });
            batch.push((record.place.number, read?));
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn record(&self, place: Place) -> io::Result<ImportRecord> {
        let changed = || io::Error::new(io::ErrorKind::InvalidData, "it was changed meanwhile");
        let text = self.lines.at(place)?;
        let text = text.trim_start_matches('\u{feff}');
        let Ok(Line::Record { mut record, .. }) = archive::read(text) else {
            return Err(changed());
        };
        if let ImportRecord::Chat(chat) = &mut record
            && chat.created_at.is_none()
        {
            chat.created_at = self.first_message(chat);
        }
        Ok(record)
    }

    /// The time of the first message of a chat in this file.
    fn first_message(&self, chat: &ImportedChat) -> Option<Timestamp> {
        let external = chat.external_id.as_deref().map(Into::into);
        let name = chat.id.map(ChatRef::Id);
        let name = name.or(external.map(ChatRef::External));
        let name = name.or(chat.pk.map(ChatRef::Pk))?;
        let number = self.names.root(*self.names.numbers.get(&name)?);
        let first = self.first.get(index(number))?;
        Timestamp::from_microsecond(*first).ok()
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }
}

/// Chats that are named and not described, in words: some of them, and how many there are.
fn undescribed(names: &Names) -> Vec<String> {
    let mut missing: Vec<_> = names
        .numbers
        .iter()
        .filter(|(_, number)| !names.described[index(names.root(**number))])
        .map(|(name, _)| name.to_string())
        .collect();
    missing.sort();
    missing
}

impl Pass<'_> {
    fn line(&mut self, place: Place, line: &[u8]) {
        if let Err(why) = self.read(place, line) {
            self.report.wrong += 1;
            (self.wrong)(place.number, &why);
        }
    }

    fn read(&mut self, place: Place, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
        let is_first = !std::mem::replace(&mut self.has_header, true);
        let (record, lost) = match archive::read(text).map_err(|error| error.message)? {
            Line::Header if is_first => return Ok(()),
            Line::Header => return Err("a second line with the version".into()),
            Line::Record { .. } if is_first => {
                let why = "the first line has to be {\"type\":\"polychat\",\"version\":1}";
                return Err(why.into());
            }
            Line::Record { record, lost } => (record, lost),
        };
        let (rank, chat, at) = self.order(&record, place.number)?;
        (self.fits)(&record).map_err(|error| error.message)?;
        self.report.read(&record, &lost, place.number);
        self.places.push(Record {
            rank,
            chat,
            at,
            place,
        });
        Ok(())
    }

    /// By what a record is ordered.
    fn order(&mut self, record: &ImportRecord, line: u32) -> Result<(Rank, u32, i64), String> {
        Ok(match record {
            ImportRecord::User(user) => {
                self.user(user, line)?;
                (Rank::User, 0, 0)
            }
            ImportRecord::Event(event) => {
                self.only("this event", ("event", event.pk), line)?;
                (Rank::Event, 0, 0)
            }
            ImportRecord::Chat(chat) => {
                self.chat(chat, line)?;
                (Rank::Chat, 0, 0)
            }
            ImportRecord::Message(message) => {
                let (chat, at) = self.message(message, line)?;
                (Rank::Message, chat, at)
            }
            ImportRecord::Read(read) => {
                self.names.number(&read.chat);
                (Rank::Read, 0, 0)
            }
            ImportRecord::Numbers(_) => (Rank::Numbers, 0, 0),
        })
    }

    fn user(&mut self, user: &ImportedUser, line: u32) -> Result<(), String> {
        self.only("this user", ("user", &user.external_id), line)?;
        match user.pk {
            Some(pk) => self.only("a user with this pk", ("user pk", pk), line),
            None => Ok(()),
        }
    }

    fn chat(&mut self, chat: &ImportedChat, line: u32) -> Result<(), String> {
        if let Some(name) = &chat.external_id {
            self.only("this chat", ("chat", name), line)?;
        }
        if let Some(pk) = chat.pk {
            self.only("a chat with this pk", ("chat pk", pk), line)?;
        }
        let number = self.names.describe(chat);
        number.map(drop).ok_or_else(|| {
            "externalChatId: is missing, and so is a pk: without either a second import would \
             double the chat"
                .into()
        })
    }

    fn message(&mut self, message: &ImportedMessage, line: u32) -> Result<(u32, i64), String> {
        let chat = self.names.number(&message.chat);
        match (&message.draft.original_id, message.exported) {
            (Some(id), _) => {
                self.only("a message with this original_id", (chat, id), line)?;
            }
            (None, Some((_, seq))) => {
                self.only("a message with this seq", (chat, "seq", seq), line)?;
            }
            (None, None) => {
                return Err(
                    "original_id: is missing: without it a second import would double the message"
                        .into(),
                );
            }
        }
        let at = message.created_at.as_microsecond();
        self.first.resize(self.names.same.len(), i64::MAX);
        let first = &mut self.first[index(chat)];
        *first = (*first).min(at);
        Ok((chat, at))
    }

    /// Refuses what an earlier line has.
    fn only(&mut self, what: &str, name: impl std::hash::Hash, line: u32) -> Result<(), String> {
        match self.once.before(name, line) {
            Some(first) => Err(format!("{what} stands in line {first} already")),
            None => Ok(()),
        }
    }
}
