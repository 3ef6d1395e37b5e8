//! A batch: the notices that a node sends at once.
//! Does not know when a batch is sent, nor which batches were received.

use jiff::Timestamp;
use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};

use super::fields::{Fields, binary, date, uuid};
use super::{Header, RemoteNotice, UnknownContent};
use crate::model::NodeId;

/// The form of a batch. It is frozen like that of a header: one more field is no other form.
const FORM: i64 = 1;

/// The notices that a node sends at once; without notices, a beat. On the wire it is the document
/// `{v: 1, node, n, at, h: [header], b: [body]}`; further fields, such as the `_id` of a database, are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bus) struct Batch {
    /// The node that sends it.
    pub(in crate::bus) node: NodeId,
    /// Counts the batches of that node, from 1 on.
    pub(in crate::bus) n: u64,
    /// When it is sent, by the clock of that node, in whole milliseconds.
    pub(in crate::bus) sent: Timestamp,
    /// The notices, in the order in which they were published.
    pub(in crate::bus) notices: Vec<RemoteNotice>,
}

impl Batch {
    /// At most so many bytes has a batch beside [`RemoteNotice::len`] of its notices, with an `_id` of 16 bytes.
    pub(in crate::bus) const ENVELOPE: usize = 128;

    /// The batch as BSON.
    pub(in crate::bus) fn encode(&self) -> Vec<u8> {
        let Self {
            node,
            n,
            sent,
            notices,
        } = self;
        let headers = notices.iter().map(|notice| notice.header.encode());
        let headers: RawArrayBuf = headers.collect();
        let bodies = notices.iter().map(|notice| binary(&notice.body));
        let bodies: RawArrayBuf = bodies.collect();
        let mut batch = RawDocumentBuf::new();
        batch.append(cstr!("v"), FORM);
        batch.append(cstr!("node"), uuid(node.as_bytes()));
        batch.append(cstr!("n"), i64::try_from(*n).unwrap_or(i64::MAX));
        batch.append(cstr!("at"), date(*sent));
        batch.append(cstr!("h"), &headers);
        batch.append(cstr!("b"), &bodies);
        batch.into_bytes()
    }

    /// The batch in these bytes. The bodies are not decoded.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub(in crate::bus) fn decode(bytes: &[u8]) -> Result<Self, UnknownContent> {
        let batch = Fields::of_bytes(bytes)?;
        let form: i64 = batch.get("v")?;
        if form != FORM {
            return Err(UnknownContent(format!("a batch of the form {form}")));
        }
        let n = u64::try_from(batch.get::<i64>("n")?).unwrap_or(0);
        if n == 0 {
            return Err(UnknownContent("a batch before the first".to_owned()));
        }
        let headers: Vec<Fields<'_>> = batch.get("h")?;
        let bodies: Vec<&[u8]> = batch.get("b")?;
        if headers.len() != bodies.len() {
            let why = format!("{} headers and {} bodies", headers.len(), bodies.len());
            return Err(UnknownContent(why));
        }
        let notices = headers.into_iter().zip(bodies).map(|(header, body)| {
            Ok(RemoteNotice {
                header: Header::decode(header)?,
                body: body.to_vec(),
            })
        });
        Ok(Self {
            node: batch.get("node")?,
            n,
            sent: batch.get("at")?,
            notices: notices.collect::<Result<_, _>>()?,
        })
    }
}

impl RemoteNotice {
    /// At most so many bytes of a batch are this notice.
    pub(in crate::bus) fn len(&self) -> usize {
        const ELEMENT: usize = 16;
        self.header.most_bytes() + ELEMENT + self.body.len()
    }
}
