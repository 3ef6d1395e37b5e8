//! Owns the encoding of messages and answers in each dialect, for the reference server. Does not know the receivers.

use crate::dialect::Dialect;

const WHEN: &str = "2026-01-01T00:00:00.000Z";

#[derive(Clone)]
pub struct Message {
    pub id: u64,
    pub seq: u32,
    pub room: usize,
    pub user: usize,
    pub text: Vec<u8>,
}

/// Socket.IO's ids: as long as other servers' are.
pub fn long_id(number: u64) -> String {
    format!("{number:024x}")
}

impl Message {
    /// As the dialect has it, without what is around it.
    pub fn body(&self, dialect: Dialect) -> Vec<u8> {
        let (before, behind) = match dialect {
            Dialect::Socketio => (
                format!(
                    "{{\"id\":\"{}\",\"seq\":{},\"room\":\"{}\",\"msg\":\"",
                    long_id(self.id),
                    self.seq,
                    long_id(self.room as u64)
                ),
                format!(
                    "\",\"type\":\"text\",\"user_id\":\"{}\",\"created_at\":\"{WHEN}\",\"modified_at\":\"{WHEN}\"}}",
                    long_id(self.user as u64)
                ),
            ),
            Dialect::Action => (
                format!(
                    "{{\"id\":{},\"seq\":{},\"user\":{{\"id\":{}}},\"text\":\"",
                    self.id, self.seq, self.user
                ),
                format!("\",\"create_date\":\"{WHEN}\",\"room\":{}}}", self.room),
            ),
            Dialect::Type => (
                format!(
                    "{{\"id\":{},\"seq\":{},\"chat\":{},\"text\":\"",
                    self.id, self.seq, self.room
                ),
                format!("\",\"timestamp\":\"{WHEN}\",\"is_read\":false}}"),
            ),
        };
        [before.as_bytes(), &self.text, behind.as_bytes()].concat()
    }

    /// As it is delivered.
    pub fn event(&self, dialect: Dialect, ns: &str) -> Vec<u8> {
        let body = self.body(dialect);
        let (before, behind) = match dialect {
            Dialect::Socketio => (format!("42{ns}[\"new-message\","), "]".into()),
            Dialect::Action => (
                "{\"data\":".into(),
                format!(",\"action\":\"create\",\"pk\":{}}}", self.id),
            ),
            Dialect::Type => ("{\"type\":\"messageCreated\",\"data\":".into(), "}".into()),
        };
        [before.as_bytes(), &body, behind.as_bytes()].concat()
    }
}

/// An answer of this dialect. Socket.IO's has no name; the raw dialects repeat the request id.
pub fn answer(dialect: Dialect, ns: &str, id: u64, name: &str, body: &[u8]) -> Vec<u8> {
    let (before, behind) = match dialect {
        Dialect::Socketio => (format!("43{ns}{id}["), "]".into()),
        Dialect::Action => (
            "{\"errors\":[],\"data\":".into(),
            format!(",\"action\":\"{name}\",\"response_status\":200,\"request_id\":{id}}}"),
        ),
        Dialect::Type => (
            format!("{{\"type\":\"{name}\",\"data\":"),
            format!(",\"request_id\":{id}}}"),
        ),
    };
    [before.as_bytes(), body, behind.as_bytes()].concat()
}

fn after<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memchr::memmem::find(body, key)? + key.len();
    Some(&body[at..])
}

pub fn text_after<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = after(body, key)?;
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

pub fn number_after(body: &[u8], key: &[u8]) -> Option<u64> {
    let rest = after(body, key)?;
    let digits = rest.iter().take_while(|each| each.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
