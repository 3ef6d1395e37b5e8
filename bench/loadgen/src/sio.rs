//! Owns the text packets of Engine.IO v4 and Socket.IO v5, and the tag of a message. Does not know their meaning to a
//! scenario.

use crate::num::fit;

#[derive(Debug, PartialEq)]
pub enum Pkt<'a> {
    Open(&'a [u8]),
    Ping(&'a [u8]),
    EioClose,
    Noop,
    Connect(&'a [u8]),
    Disconnect,
    Event { id: Option<u32>, body: &'a [u8] },
    Ack { id: u32, body: &'a [u8] },
    ConnectError(&'a [u8]),
    Bad,
}

#[inline]
pub fn parse(t: &[u8]) -> Pkt<'_> {
    match t.first() {
        Some(b'4') => {}
        Some(b'0') => return Pkt::Open(&t[1..]),
        Some(b'2') => return Pkt::Ping(&t[1..]),
        Some(b'1') => return Pkt::EioClose,
        Some(b'3' | b'6') => return Pkt::Noop,
        _ => return Pkt::Bad,
    }
    let Some(&kind) = t.get(1) else {
        return Pkt::Bad;
    };
    let mut r = &t[2..];
    if r.first() == Some(&b'/') {
        r = match memchr::memchr(b',', r) {
            Some(i) => &r[i + 1..],
            None => &[],
        };
    }
    let digits = r.iter().take_while(|b| b.is_ascii_digit()).count();
    let id = r[..digits].iter().fold(0u32, |a, b| {
        a.wrapping_mul(10).wrapping_add(u32::from(b - b'0'))
    });
    let body = &r[digits..];
    match kind {
        b'0' => Pkt::Connect(body),
        b'1' => Pkt::Disconnect,
        b'2' => Pkt::Event {
            id: (digits > 0).then_some(id),
            body,
        },
        b'3' if digits > 0 => Pkt::Ack { id, body },
        b'4' => Pkt::ConnectError(body),
        _ => Pkt::Bad,
    }
}

/// "" for the default namespace, else "/name,".
pub fn ns_prefix(ns: &str) -> String {
    if ns == "/" || ns.is_empty() {
        String::new()
    } else {
        format!("/{},", ns.trim_start_matches('/'))
    }
}

/// The raw value of `"id"` in a JSON body (the key, not a key that ends in `_id`).
#[inline]
pub fn find_id(body: &[u8]) -> Option<&[u8]> {
    let i = memchr::memmem::find(body, b"\"id\":")? + 5;
    let rest = &body[i..];
    if rest.first() == Some(&b'"') {
        let e = memchr::memchr(b'"', &rest[1..])?;
        Some(&rest[1..=e])
    } else {
        let e = rest.iter().position(|b| matches!(b, b',' | b'}'))?;
        Some(&rest[..e])
    }
}

pub fn hash(b: &[u8]) -> u64 {
    b.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, x| {
        (h ^ u64::from(*x)).wrapping_mul(0x100_0000_01b3)
    }) | 1
}

/// Identifies a message inside its text: fixed-width hex, so that reading it back costs next to nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tag {
    pub nonce: u32,
    pub room: u32,
    pub sender: u32,
    pub seq: u32,
    pub ts: u64,
}

pub const TAG_LEN: usize = 50; // '~' 8 8 8 8 16 '~'
const HEX: &[u8; 16] = b"0123456789abcdef";

fn put(out: &mut Vec<u8>, v: u64, digits: u32) {
    for i in (0..digits).rev() {
        out.push(HEX[fit::<_, usize>((v >> (4 * i)) & 15)]);
    }
}

/// Decodes at most 16 hexadecimal digits.
#[inline]
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u64::from(digit))
    })
}

impl Tag {
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'~');
        put(out, u64::from(self.nonce), 8);
        put(out, u64::from(self.room), 8);
        put(out, u64::from(self.sender), 8);
        put(out, u64::from(self.seq), 8);
        put(out, self.ts, 16);
        out.push(b'~');
    }

    /// Finds the tag in an event or ack body.
    #[inline]
    pub fn find(body: &[u8]) -> Option<Tag> {
        let mut from = 0;
        loop {
            let i = from + memchr::memchr(b'~', &body[from..])?;
            let t = body.get(i..i + TAG_LEN)?;
            if t[TAG_LEN - 1] == b'~' {
                let four = |at: usize| hex(&t[at..at + 8]).map(fit);
                if let (Some(nonce), Some(room), Some(sender), Some(seq), Some(ts)) =
                    (four(1), four(9), four(17), four(25), hex(&t[33..49]))
                {
                    return Some(Tag {
                        nonce,
                        room,
                        sender,
                        seq,
                        ts,
                    });
                }
            }
            from = i + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        assert_eq!(parse(b"0{\"sid\":1}"), Pkt::Open(b"{\"sid\":1}"));
        assert_eq!(parse(b"2"), Pkt::Ping(b""));
        assert_eq!(
            parse(b"40{\"sid\":\"a\"}"),
            Pkt::Connect(b"{\"sid\":\"a\"}")
        );
        assert_eq!(
            parse(b"40/chat,{\"sid\":\"a\"}"),
            Pkt::Connect(b"{\"sid\":\"a\"}")
        );
        assert_eq!(
            parse(b"42[\"x\",1]"),
            Pkt::Event {
                id: None,
                body: b"[\"x\",1]"
            }
        );
        assert_eq!(
            parse(b"42/chat,12[\"x\",1]"),
            Pkt::Event {
                id: Some(12),
                body: b"[\"x\",1]"
            }
        );
        assert_eq!(
            parse(b"4317[{}]"),
            Pkt::Ack {
                id: 17,
                body: b"[{}]"
            }
        );
        assert_eq!(
            parse(b"43/chat,7[{}]"),
            Pkt::Ack {
                id: 7,
                body: b"[{}]"
            }
        );
        assert_eq!(
            parse(b"44{\"message\":\"no\"}"),
            Pkt::ConnectError(b"{\"message\":\"no\"}")
        );
        assert_eq!(parse(b"4"), Pkt::Bad);
        assert_eq!(parse(b""), Pkt::Bad);
    }

    #[test]
    fn tag_round_trip_after_a_stray_tilde() {
        let t = Tag {
            nonce: 0xdead_beef,
            room: 7,
            sender: 3,
            seq: 123_456,
            ts: 0x1234_5678_9abc,
        };
        let mut m = b"[\"new-message\",{\"a\":\"~\",\"msg\":\"".to_vec();
        t.write(&mut m);
        m.extend_from_slice(b"xxx\"}]");
        assert_eq!(Tag::find(&m), Some(t));
        assert_eq!(Tag::find(b"no tag ~ here"), None);
    }

    #[test]
    fn id_is_the_key_not_a_suffix() {
        assert_eq!(
            find_id(br#"[{"user_id":"u","id":"m1","x":1}]"#),
            Some(&b"m1"[..])
        );
        assert_eq!(find_id(br#"[{"id":42}]"#), Some(&b"42"[..]));
        assert_eq!(find_id(br#"[{"error":{}}]"#), None);
    }
}
