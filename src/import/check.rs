//! The first pass over a file: reads every line, remembers where it is, and finds what contradicts itself.
//! Does not keep records in memory: of each only its place.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ImportError;
use super::file::{Lines, Place};
use super::names::{Names, index};
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
    /// The number of a message from an export; 0: it has none.
    seq: i64,
    place: Place,
}

/// The order of the kinds: each names only those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Those that have a number before those that get the next free one.
    NumberedUser,
    User,
    Event,
    NumberedChat,
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

/// What may stand in a file only once, by a hash; the first line of each.
#[derive(Default)]
struct Once {
    hasher: RandomState,
    lines: HashMap<u64, u32>,
}

impl Once {
    fn hash(&self, name: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The line that has it already.
    fn before(&mut self, name: impl std::hash::Hash, line: u32) -> Option<u32> {
        let hash = self.hash(name);
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
    /// The chat, the name by a hash, and the line of each message.
    messages: Vec<(u32, u64, u32)>,
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
            messages: Vec::new(),
            report: Report::default(),
            has_header: false,
            fits,
            wrong,
        };
        let read = lines.each(|place, line| pass.line(place, line));
        read.map_err(failed)?;
        pass.find_doubles();
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
        places.sort_by_key(|record| {
            let Record {
                rank,
                chat,
                at,
                seq,
                place,
            } = *record;
            (rank, chat, at, seq, place.number)
        });
        report.undescribed = names.undescribed();
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
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
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
        let number = self.names.known(&name)?;
        let first = self.first.get(index(number))?;
        Timestamp::from_microsecond(*first).ok()
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }
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
        let (rank, chat, at, seq) = self.order(&record, place.number)?;
        (self.fits)(&record).map_err(|error| error.message)?;
        self.report.read(&record, &lost, place.number);
        self.places.push(Record {
            rank,
            chat,
            at,
            seq,
            place,
        });
        Ok(())
    }

    /// Names the messages that stand in their chat twice, once all names of the chats are known.
    fn find_doubles(&mut self) {
        let mut messages = std::mem::take(&mut self.messages);
        for (chat, ..) in &mut messages {
            *chat = self.names.root(*chat);
        }
        messages.sort_unstable();
        for same in messages.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let [(.., first), others @ ..] = same else {
                continue;
            };
            for (.., line) in others {
                self.report.wrong += 1;
                let why = format!("this message of the chat stands in line {first} already");
                (self.wrong)(*line, &why);
            }
        }
    }

    /// By what a record is ordered.
    fn order(&mut self, record: &ImportRecord, line: u32) -> Result<(Rank, u32, i64, i64), String> {
        Ok(match record {
            ImportRecord::User(user) => {
                self.user(user, line)?;
                let rank = user.pk.map_or(Rank::User, |_| Rank::NumberedUser);
                (rank, 0, 0, 0)
            }
            ImportRecord::Event(event) => {
                self.only("this event", ("event", event.pk), line)?;
                (Rank::Event, 0, 0, 0)
            }
            ImportRecord::Chat(chat) => {
                self.chat(chat, line)?;
                let rank = chat.pk.map_or(Rank::Chat, |_| Rank::NumberedChat);
                (rank, 0, 0, 0)
            }
            ImportRecord::Message(message) => {
                let (chat, at) = self.message(message, line)?;
                let seq = message.exported.map_or(0, |(_, seq)| seq);
                (Rank::Message, chat, at, seq)
            }
            ImportRecord::Read(read) => {
                self.names.number(&read.chat);
                (Rank::Read, 0, 0, 0)
            }
            ImportRecord::Numbers(_) => (Rank::Numbers, 0, 0, 0),
        })
    }

    fn user(&mut self, user: &ImportedUser, line: u32) -> Result<(), String> {
        self.only("this user", ("user", &user.external_id), line)?;
        if let Some(id) = user.id {
            self.only("a user with this id", ("user id", id), line)?;
        }
        match user.pk {
            Some(pk) => self.only("a user with this pk", ("user pk", pk), line),
            None => Ok(()),
        }
    }

    fn chat(&mut self, chat: &ImportedChat, line: u32) -> Result<(), String> {
        if let Some(id) = chat.id {
            self.only("a chat with this id", ("chat id", id), line)?;
        }
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
        let name = match (&message.draft.original_id, message.exported) {
            (Some(id), _) => self.once.hash(("original_id", id)),
            (None, Some((_, seq))) => self.once.hash(("seq", seq)),
            (None, None) => {
                return Err(
                    "original_id: is missing: without it a second import would double the message"
                        .into(),
                );
            }
        };
        self.messages.push((chat, name, line));
        let at = message.created_at.as_microsecond();
        self.first.resize(self.names.len(), i64::MAX);
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
