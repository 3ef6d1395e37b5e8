//! What was found in a file and done with it, and the file of old and new names.
//! Does not print anything.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ImportError;
use crate::model::{ImportRecord, Imported, ImportedNames, pair};

/// How many of one kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the file.
    pub read: usize,
    /// New ones.
    pub created: usize,
    /// Those that were there before.
    pub found: usize,
}

/// The outcome of an import, or of its check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The counts of each kind, by its name.
    pub kinds: BTreeMap<&'static str, Counts>,
    /// How many lines cannot be read.
    pub wrong: usize,
    /// How many members were added to chats that were there before.
    pub members_added: usize,
    /// How many records were refused.
    pub refused: usize,
    /// The fields that nothing keeps: the kind and the name, how often, and the first line.
    pub lost: BTreeMap<String, (usize, u32)>,
    /// How many messages are earlier than this kind of program exists: their times may be in seconds.
    pub early: usize,
    /// Chats that are named in the file and stand in no line of their own.
    pub undescribed: Vec<String>,
}

/// Seconds that are read as milliseconds lie before this: a month after the beginning of 1970.
const EARLY: Timestamp = Timestamp::constant(31 * 24 * 3600, 0);

/// The kinds, in the order in which they are shown.
const KINDS: [(&str, &str); 5] = [
    ("user", "users"),
    ("event", "events"),
    ("chat", "chats"),
    ("message", "messages"),
    ("read", "read positions"),
];

fn kind(record: &ImportRecord) -> &'static str {
    match record {
        ImportRecord::User(_) => "user",
        ImportRecord::Event(_) => "event",
        ImportRecord::Chat(_) => "chat",
        ImportRecord::Message(_) => "message",
        ImportRecord::Read(_) => "read",
        ImportRecord::Numbers(_) => "numbers",
    }
}

impl Report {
    /// Whether every line was read and taken.
    pub fn is_complete(&self) -> bool {
        self.wrong == 0 && self.refused == 0
    }

    /// A record stands in this line.
    pub(super) fn read(&mut self, record: &ImportRecord, lost: &[String], line: u32) {
        let kind = kind(record);
        if let ImportRecord::Message(message) = record
            && message.created_at < EARLY
        {
            self.early += 1;
        }
        self.kinds.entry(kind).or_default().read += 1;
        for field in lost {
            let lost = self.lost.entry(format!("{kind}.{field}"));
            lost.or_insert((0, line)).0 += 1;
        }
    }

    /// A record is in the store now.
    pub(super) fn done(&mut self, record: &ImportRecord, imported: &Imported) {
        let counts = self.kinds.entry(kind(record)).or_default();
        if let ImportedNames::Chat { added, .. } = imported.names {
            self.members_added += added;
        }
        if imported.is_new {
            counts.created += 1;
        } else {
            counts.found += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, plural) in KINDS {
            let Some(Counts {
                read,
                created,
                found,
            }) = self.kinds.get(kind)
            else {
                continue;
            };
            if created + found == 0 {
                writeln!(out, "{plural:<15} {read}")?;
            } else {
                writeln!(out, "{plural:<15} {created} new, {found} there before")?;
            }
        }
        if self.members_added > 0 {
            let added = self.members_added;
            writeln!(
                out,
                "members         {added} added to chats that were there before"
            )?;
        }
        for (field, (count, line)) in &self.lost {
            writeln!(
                out,
                "not kept        {field}, {count} times, first in line {line}"
            )?;
        }
        if self.early > 0 {
            let early = self.early;
            writeln!(
                out,
                "early           {early} messages are of 1970: numbers are milliseconds, not seconds"
            )?;
        }
        if let Some(first) = self.undescribed.first() {
            let count = self.undescribed.len();
            writeln!(
                out,
                "not in the file {count} chats that messages or read positions name, such as {first}: they have to exist"
            )?;
        }
        Ok(())
    }
}

/// The file of old and new names.
pub(super) struct Map {
    path: PathBuf,
    out: Option<BufWriter<File>>,
}

impl Map {
    /// Creates it, in the place of an older one; `source`: the file that is imported.
    pub(super) fn create(path: Option<&Path>, source: &Path) -> Result<Self, ImportError> {
        let Some(path) = path else {
            let path = PathBuf::new();
            return Ok(Self { path, out: None });
        };
        let same = path.canonicalize().ok();
        if same.is_some() && same == source.canonicalize().ok() {
            let why = "it is the file to import";
            return Err(failed(
                path,
                io::Error::new(io::ErrorKind::InvalidInput, why),
            ));
        }
        let out = File::create(path).map_err(|error| failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            out: Some(BufWriter::new(out)),
        })
    }

    /// Writes the names of one record.
    pub(super) fn write(
        &mut self,
        record: &ImportRecord,
        imported: &Imported,
    ) -> Result<(), ImportError> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        let Some(names) = names(record, imported) else {
            return Ok(());
        };
        writeln!(out, "{names}").map_err(|error| failed(&self.path, error))
    }

    pub(super) fn finish(mut self) -> Result<(), ImportError> {
        match &mut self.out {
            Some(out) => out.flush().map_err(|error| failed(&self.path, error)),
            None => Ok(()),
        }
    }
}

fn failed(path: &Path, error: io::Error) -> ImportError {
    let file = path.to_owned();
    ImportError::File { file, error }
}

/// The old and the new names of a record.
fn names(record: &ImportRecord, imported: &Imported) -> Option<Value> {
    Some(match (record, imported.names) {
        (ImportRecord::User(user), ImportedNames::User { id, pk }) => json!({
            "type": "user", "externalUserId": user.external_id, "id": id.to_string(), "pk": pk,
        }),
        (ImportRecord::Event(_), ImportedNames::Event { pk }) => json!({"type": "event", "id": pk}),
        (ImportRecord::Chat(chat), ImportedNames::Chat { id, pk, .. }) => json!({
            "type": "chat", "externalChatId": chat.external_id, "id": id.to_string(), "pk": pk,
        }),
        (
            ImportRecord::Message(message),
            ImportedNames::Message {
                chat,
                chat_pk,
                id,
                seq,
            },
        ) => json!({
            "type": "message", "chat": chat.to_string(),
            "original_id": message.draft.original_id, "id": id.to_string(), "seq": seq,
            "pk": pair(chat_pk, seq),
        }),
        _ => return None,
    })
}
