//! Owns the encoding of WebSocket frames (RFC 6455). Does not know the sender.

use crate::num::fit;

/// The RFC 6455 sample nonce: a constant key lets the accept value be checked without SHA-1.
pub const WS_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const WS_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(super) struct Frame {
    pub op: u8,
    pub fin: bool,
    pub start: usize,
    pub end: usize,
    pub mask: Option<[u8; 4]>,
}

#[inline]
pub(super) fn frame(d: &[u8]) -> Result<Option<Frame>, String> {
    if d.len() < 2 {
        return Ok(None);
    }
    if d[0] & 0x70 != 0 {
        return Err("reserved bits set: an extension that was not negotiated".into());
    }
    let (mut at, len) = match d[1] & 0x7f {
        126 => match d[2..].first_chunk() {
            Some(bytes) => (4, usize::from(u16::from_be_bytes(*bytes))),
            None => return Ok(None),
        },
        127 => match d[2..].first_chunk() {
            Some(bytes) => (10, fit(u64::from_be_bytes(*bytes))),
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    let mask = if d[1] & 0x80 != 0 {
        if d.len() < at + 4 {
            return Ok(None);
        }
        let m = [d[at], d[at + 1], d[at + 2], d[at + 3]];
        at += 4;
        Some(m)
    } else {
        None
    };
    if d.len() - at.min(d.len()) < len || d.len() < at {
        return Ok(None);
    }
    Ok(Some(Frame {
        op: d[0] & 0x0f,
        fin: d[0] & 0x80 != 0,
        start: at,
        end: at + len,
        mask,
    }))
}

/// Encodes an unmasked text frame once, for `send_raw` to many receivers.
pub fn server_text_frame(payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x81);
    push_length(out, 0, payload.len());
    out.extend_from_slice(payload);
}

/// Encodes the length of a payload with the mask bit.
#[inline]
pub(super) fn push_length(out: &mut Vec<u8>, masked: u8, length: usize) {
    if let Some(short) = u8::try_from(length).ok().filter(|n| *n < 126) {
        out.push(masked | short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(masked | 0x7e);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(masked | 0x7f);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

#[inline]
pub(super) fn xor_mask(d: &mut [u8], mask: [u8; 4]) {
    let m8 = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (eights, rest) = d.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ m8).to_ne_bytes();
    }
    for (i, b) in rest.iter_mut().enumerate() {
        *b ^= mask[i & 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_waits_for_all_bytes_at_every_length_class() {
        for n in [0usize, 1, 125, 126, 65535, 65536, 70000] {
            let p = vec![b'x'; n];
            let mut f = Vec::new();
            server_text_frame(&p, &mut f);
            let cuts = (0..f.len().min(16)).chain([f.len() - 1]);
            for cut in cuts.filter(|&k| k < f.len()) {
                assert!(frame(&f[..cut]).unwrap().is_none(), "n={n} cut={cut}");
            }
            let got = frame(&f).unwrap().unwrap();
            assert!(got.fin && got.op == 1 && got.end - got.start == n && got.end == f.len());
        }
    }

    #[test]
    fn masking_is_its_own_inverse_and_matches_the_rfc_example() {
        let mut d = b"Hello".to_vec();
        xor_mask(&mut d, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(d, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        let mut long: Vec<u8> = (0..100).collect();
        xor_mask(&mut long, [1, 2, 3, 4]);
        for (i, b) in (0..100u8).zip(&long) {
            assert_eq!(*b, i ^ (1 + i % 4));
        }
    }
}
