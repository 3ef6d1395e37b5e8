//! The document of the lease, and the updates of it. Each is one step, in which the server reads its own clock.
//! Does not run them.
//!
//! All holders are in one document, and not in one each: that servers and commands exclude each other has to be
//! judged and written in one step. The document has these fields:
//! - `holders`: each with its `mode`, in the order of their latest renewals. The others that have lapsed are dropped
//!   by each update of a holder.
//! - `lapsed`: those that the latest update has dropped. So of several processes one finds each.
//! - `era`: the latest holder that may have been alone for a while: since then, each process that was dropped has
//!   been among nodes only. A holder that has lapsed is let in again in the same era only.
//! - the fields of the holder that renewed it last. Versions that know one holder only read nothing else, and see one
//!   that is in their way. A document of those versions has these fields alone; its holder excludes all others.

use jiff::Timestamp;
use mongodb::bson::{Bson, DateTime, Document, RawDocument, Uuid, doc};
use serde::{Deserialize, Serialize};

use super::documents::LEASES;
use super::fields::{Readable, date, decode, time};
use crate::model::NodeId;
use crate::store::StoreError;
use crate::store::lease::{Holder, LIFETIME, Mode, Process};

/// The `_id` of the one lease.
const ID: &str = "store";

/// The versions of a batch of notices that this program reads.
const WIRE: [i32; 1] = [1];

/// [`Mode`] as a holder has it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeField {
    Node,
    /// That of the versions which know no other, too.
    #[default]
    Exclusive,
}

impl From<ModeField> for Mode {
    fn from(mode: ModeField) -> Self {
        match mode {
            ModeField::Node => Self::Shared,
            ModeField::Exclusive => Self::Exclusive,
        }
    }
}

impl From<Mode> for Bson {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Shared => "node".into(),
            Mode::Exclusive => "exclusive".into(),
        }
    }
}

/// A holder.
#[derive(Deserialize)]
struct HolderDocument {
    holder: Uuid,
    #[serde(default)]
    mode: ModeField,
    command: String,
    host: String,
    pid: i64,
    version: String,
    since: DateTime,
    until: DateTime,
}

/// A holder, and its id.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) node: NodeId,
    pub(super) holder: Holder,
}

impl Readable for HolderDocument {
    const COLLECTION: &'static str = LEASES;
    type Model = Entry;

    fn model(self) -> Result<Entry, StoreError> {
        let process = Process {
            command: self.command,
            host: self.host,
            pid: u32::try_from(self.pid).unwrap_or_default(),
            version: self.version,
        };
        Ok(Entry {
            node: self.holder.into(),
            holder: Holder {
                process,
                mode: self.mode.into(),
                since: time(self.since)?,
                until: time(self.until)?,
            },
        })
    }
}

/// The document.
#[derive(Deserialize)]
struct LeaseDocument {
    holders: Vec<HolderDocument>,
    #[serde(default)]
    lapsed: Vec<HolderDocument>,
    era: Option<HolderDocument>,
}

/// The same.
pub(super) struct Lease {
    /// In the order of their latest renewals.
    pub(super) holders: Vec<Entry>,
    /// Those that the latest update has dropped.
    pub(super) lapsed: Vec<Entry>,
    pub(super) era: Option<Entry>,
}

impl Readable for LeaseDocument {
    const COLLECTION: &'static str = LEASES;
    type Model = Lease;

    fn model(self) -> Result<Lease, StoreError> {
        let models = |holders: Vec<HolderDocument>| holders.into_iter().map(Readable::model);
        Ok(Lease {
            holders: models(self.holders).collect::<Result<_, _>>()?,
            lapsed: models(self.lapsed).collect::<Result<_, _>>()?,
            era: self.era.map(Readable::model).transpose()?,
        })
    }
}

impl Lease {
    /// Decodes a document of this version or of one that knows one holder only.
    pub(super) fn read(document: &RawDocument) -> Result<Self, StoreError> {
        if matches!(document.get("holders"), Ok(Some(_))) {
            return decode::<LeaseDocument>(document);
        }
        Ok(Self {
            holders: Vec::new(),
            lapsed: Vec::new(),
            era: Some(decode::<HolderDocument>(document)?),
        })
    }

    /// The process that is in the way of a holder in this mode which is not let in.
    pub(super) fn in_the_way(self, own: NodeId, mode: Mode) -> Option<Holder> {
        let excludes = |entry: &Entry| match mode {
            Mode::Shared => entry.holder.mode == Mode::Exclusive,
            Mode::Exclusive => true,
        };
        let mut holders = self.holders.into_iter();
        let latest = holders.rfind(|entry| entry.node != own && excludes(entry));
        latest.or(self.era).map(|entry| entry.holder)
    }
}

/// When a process was let in, or an era began: the id of the process, and the time.
pub(super) type Moment = (NodeId, Timestamp);

impl Entry {
    pub(super) fn moment(&self) -> Moment {
        (self.node, self.holder.since)
    }
}

/// The filter of the document.
pub(super) fn filter() -> Document {
    doc! { "_id": ID }
}

/// Lets a process in unless another one is in the way; without effect otherwise.
pub(super) fn take(own: NodeId, process: &Process, mode: Mode) -> Vec<Document> {
    let begins_no_era = match mode {
        Mode::Shared => Bson::Boolean(true),
        Mode::Exclusive => doc! { "$eq": [{ "$arrayElemAt": ["$work.own.mode", 0] }, mode] }.into(),
    };
    let entry = entry(own, process, mode);
    update(own, entry.into(), is_free(mode), begins_no_era)
}

/// Renews the lease of a process, or lets it in again if its era lasts and nobody is in the way; without effect
/// otherwise.
pub(super) fn renew(own: NodeId, process: &Process, mode: Mode, era: Moment) -> Vec<Document> {
    let (begun_by, begun) = era;
    let free = doc! { "$or": [
        { "$ne": ["$work.own", []] },
        { "$and": [
            { "$eq": ["$era.holder", begun_by] },
            { "$eq": ["$era.since", date(begun)] },
            is_free(mode),
        ] },
    ] };
    // Its mode may have changed on the way of this update.
    let own_entry = doc! { "$arrayElemAt": ["$work.own", 0] };
    let until = doc! { "until": end() };
    let entry = doc! { "$mergeObjects": [entry(own, process, mode), own_entry, until] };
    update(own, entry.into(), free, true.into())
}

/// The filter of a document with this holder, and the update that removes it.
pub(super) fn release(own: NodeId) -> (Document, Vec<Document>) {
    let of_own = doc! { "_id": ID, "holders.holder": own };
    let others = each("$holders", doc! { "$ne": ["$$this.holder", own] });
    let latest = doc! { "$arrayElemAt": ["$work.others", -1] };
    let ended = doc! { "until": "$$NOW" };
    let holders = doc! { "holders": "$work.others" };
    let stages = vec![
        doc! { "$set": { "work": { "others": others } } },
        doc! { "$replaceWith": { "$mergeObjects": ["$$ROOT", ended, latest, holders] } },
        doc! { "$unset": "work" },
    ];
    (of_own, stages)
}

/// The stages of a query that returns the holders whose lease has not lapsed, without this one.
pub(super) fn others(own: NodeId) -> [Document; 3] {
    let others = doc! { "$and": [is_live(), { "$ne": ["$$this.holder", own] }] };
    [
        doc! { "$match": filter() },
        doc! { "$set": { "work": { "all": all() } } },
        doc! { "$project": { "holders": each("$work.all", others) } },
    ]
}

/// Replaces the document if `free`, with this entry of the process as the latest holder.
fn update(own: NodeId, entry: Bson, free: Document, begins_no_era: Bson) -> Vec<Document> {
    let is_own = doc! { "$eq": ["$$this.holder", own] };
    let is_other = doc! { "$ne": ["$$this.holder", own] };
    let has_lapsed = doc! { "$not": [is_live()] };
    let era_lasts = doc! { "$and": [
        { "$eq": [{ "$type": "$era" }, "object"] },
        { "$not": [{ "$in": [Mode::Exclusive, "$work.lapsed.mode"] }] },
        begins_no_era,
    ] };
    let taken = doc! { "$mergeObjects": ["$work.entry", {
        "_id": ID,
        "holders": { "$concatArrays": ["$work.others", ["$work.entry"]] },
        "lapsed": "$work.lapsed",
        "era": { "$cond": [era_lasts, "$era", "$work.entry"] },
    }] };
    vec![
        doc! { "$set": { "work": { "all": all() } } },
        doc! { "$set": { "work": {
            "own": each("$work.all", doc! { "$and": [is_live(), is_own] }),
            "others": each("$work.all", doc! { "$and": [is_live(), &is_other] }),
            "lapsed": each("$work.all", doc! { "$and": [has_lapsed, is_other] }),
        } } },
        doc! { "$set": { "work": { "entry": entry, "free": free } } },
        doc! { "$replaceWith": { "$cond": ["$work.free", taken, "$$ROOT"] } },
        doc! { "$unset": "work" },
    ]
}

/// The holder as it is from this update on.
fn entry(own: NodeId, process: &Process, mode: Mode) -> Document {
    let since = doc! { "$arrayElemAt": ["$work.own.since", 0] };
    // What a process is called must not be read as an expression.
    doc! {
        "holder": own,
        "mode": mode,
        "command": { "$literal": &process.command },
        "host": { "$literal": &process.host },
        "pid": { "$literal": i64::from(process.pid) },
        "version": { "$literal": &process.version },
        "wire": WIRE.to_vec(),
        "since": { "$ifNull": [since, "$$NOW"] },
        "until": end(),
    }
}

/// Whether no other holder is in the way of this mode.
fn is_free(mode: Mode) -> Document {
    match mode {
        Mode::Shared => doc! { "$not": [{ "$in": [Mode::Exclusive, "$work.others.mode"] }] },
        Mode::Exclusive => doc! { "$eq": ["$work.others", []] },
    }
}

/// All holders, or the one of a document of a version that knows one only; none if there is no document.
fn all() -> Document {
    let one = doc! {
        "holder": "$holder",
        "mode": Mode::Exclusive,
        "command": "$command",
        "host": "$host",
        "pid": "$pid",
        "version": "$version",
        "since": "$since",
        "until": "$until",
    };
    let is_there = doc! { "$eq": [{ "$type": "$until" }, "date"] };
    doc! { "$ifNull": ["$holders", { "$cond": [is_there, [one], []] }] }
}

/// Those of some holders for which this is true.
fn each(holders: &str, condition: Document) -> Document {
    doc! { "$filter": { "input": holders, "cond": condition } }
}

/// Whether a holder's lease has not lapsed.
fn is_live() -> Document {
    doc! { "$gt": ["$$this.until", "$$NOW"] }
}

/// When a lease ends that is taken or renewed now, by the server's clock.
fn end() -> Document {
    let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", lifetime] }
}
