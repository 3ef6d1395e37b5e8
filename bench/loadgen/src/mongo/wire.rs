//! Encoding and decoding of the subset of BSON and `OP_MSG` that the probe uses.

use crate::num::fit;

/// Appends to one BSON document; `end` fixes its length.
pub(super) struct Doc<'a> {
    b: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Doc<'a> {
    pub(super) fn new(b: &'a mut Vec<u8>) -> Doc<'a> {
        let at = b.len();
        b.extend_from_slice(&[0; 4]);
        Doc { b, at }
    }
    fn key(&mut self, t: u8, k: &str) {
        self.b.push(t);
        self.b.extend_from_slice(k.as_bytes());
        self.b.push(0);
    }
    pub(super) fn str(mut self, k: &str, v: &str) -> Self {
        self.key(2, k);
        let length: i32 = fit(v.len() + 1);
        self.b.extend_from_slice(&length.to_le_bytes());
        self.b.extend_from_slice(v.as_bytes());
        self.b.push(0);
        self
    }
    pub(super) fn i32(mut self, k: &str, v: i32) -> Self {
        self.key(16, k);
        self.b.extend_from_slice(&v.to_le_bytes());
        self
    }
    pub(super) fn bool(mut self, k: &str, v: bool) -> Self {
        self.key(8, k);
        self.b.push(u8::from(v));
        self
    }
    pub(super) fn date(mut self, k: &str, ms: i64) -> Self {
        self.key(9, k);
        self.b.extend_from_slice(&ms.to_le_bytes());
        self
    }
    pub(super) fn oid(mut self, k: &str, v: &[u8; 12]) -> Self {
        self.key(7, k);
        self.b.extend_from_slice(v);
        self
    }
    pub(super) fn doc(mut self, k: &str, f: impl FnOnce(Doc)) -> Self {
        self.key(3, k);
        f(Doc::new(self.b));
        self
    }
    pub(super) fn array(mut self, k: &str, f: impl FnOnce(Doc)) -> Self {
        self.key(4, k);
        f(Doc::new(self.b));
        self
    }
    pub(super) fn end(self) {
        self.b.push(0);
        put_length(self.b, self.at);
    }
}

/// Writes the length of everything from `at` on into the four bytes at `at`.
pub(super) fn put_length(b: &mut [u8], at: usize) {
    let length: i32 = fit(b.len() - at);
    b[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

pub(super) fn op_msg(id: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = vec![0; 16];
    b[4..8].copy_from_slice(&id.to_le_bytes());
    b[12..16].copy_from_slice(&2013i32.to_le_bytes());
    b.extend_from_slice(&[0, 0, 0, 0, 0]); // flags, section kind 0
    body(&mut b);
    put_length(&mut b, 0);
    b
}

/// Where the document of an `OP_MSG` begins.
pub(super) const BODY: usize = 21;

/// Top-level fields of a reply.
#[derive(Default, Debug, PartialEq)]
pub(super) struct Reply {
    pub ok: bool,
    /// Number of documents; 0 if absent.
    pub n: u64,
    /// A write error or write concern error is present.
    pub failed: bool,
}

impl Reply {
    /// Decodes a whole message. Stops at a truncated or unknown field.
    pub(super) fn of(message: &[u8]) -> Reply {
        let mut reply = Reply::default();
        let mut rest = message.get(BODY + 4..).unwrap_or_default();
        while let Some(after) = reply.field(rest) {
            rest = after;
        }
        reply
    }

    /// Decodes one field; returns the bytes after it.
    fn field<'a>(&mut self, d: &'a [u8]) -> Option<&'a [u8]> {
        let (&kind, d) = d.split_first()?;
        let end = d.iter().position(|b| *b == 0)?;
        let (key, d) = (&d[..end], &d[end + 1..]);
        let int = d.first_chunk().map(|four| i32::from_le_bytes(*four));
        match (key, kind) {
            (b"ok", 1) => self.ok = f64::from_le_bytes(*d.first_chunk()?) > 0.0,
            (b"ok", 16) => self.ok = int? > 0,
            (b"n", 16) => self.n = u64::try_from(int?).ok()?,
            (b"writeErrors" | b"writeConcernError", _) => self.failed = true,
            _ => {}
        }
        let length = || usize::try_from(int?).ok();
        d.get(
            match kind {
                1 | 9 | 17 | 18 => 8,
                2 => 4 + length()?,
                3 | 4 => length()?,
                5 => 5 + length()?,
                7 => 12,
                8 => 1,
                16 => 4,
                10 => 0,
                _ => return None,
            }..,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(build: impl FnOnce(Doc)) -> Reply {
        Reply::of(&op_msg(1, |b| build(Doc::new(b))))
    }

    #[test]
    fn a_reply_is_read_past_fields_of_every_kind() {
        let good = reply(|d| {
            d.str("text", "n")
                .doc("in", |d| d.i32("n", 9).bool("ok", false).end())
                .array("list", |d| d.date("0", 1).end())
                .oid("id", &[7; 12])
                .i32("n", 3)
                .i32("ok", 1)
                .end();
        });
        let (ok, n, failed) = (true, 3, false);
        assert_eq!(good, Reply { ok, n, failed });
    }

    #[test]
    fn an_error_of_a_write_is_seen() {
        let bad = reply(|d| {
            d.array("writeErrors", |d| d.i32("0", 1).end())
                .i32("ok", 1)
                .end();
        });
        assert!(bad.failed && bad.ok);
        assert!(!reply(|d| d.i32("ok", 0).end()).ok);
        assert_eq!(Reply::of(b"cut off"), Reply::default());
    }
}
