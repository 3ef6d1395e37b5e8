//! Owns the WebSocket conversation of one connection: upgrade, frames out, frames in. It refuses to know when bytes come.

use super::frame::{WS_ACCEPT, frame, xor_mask};
use super::{App, Net, State};

impl Net {
    /// Queues one text frame. Inside a handler it leaves at the end of the event, else call `flush`.
    pub fn send_text(&mut self, c: usize, payload: &[u8]) {
        self.send_frame(c, 0x1, payload);
    }

    fn send_frame(&mut self, c: usize, op: u8, payload: &[u8]) {
        // xorshift32: a fresh mask per frame, so that the server unmasks what real clients send
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 17;
        self.rng ^= self.rng << 5;
        let mask = self.rng.to_ne_bytes();
        let conn = &mut self.conns[c];
        if conn.state != State::Open {
            return;
        }
        let m = if conn.client { 0x80 } else { 0 };
        let w = &mut conn.wbuf;
        w.push(0x80 | op);
        let n = payload.len();
        if n < 126 {
            w.push(m | n as u8);
        } else if n < 65536 {
            w.push(m | 126);
            w.extend_from_slice(&(n as u16).to_be_bytes());
        } else {
            w.push(m | 127);
            w.extend_from_slice(&(n as u64).to_be_bytes());
        }
        if conn.client {
            w.extend_from_slice(&mask);
            let at = w.len();
            w.extend_from_slice(payload);
            xor_mask(&mut w[at..], mask);
        } else {
            w.extend_from_slice(payload);
        }
        self.mark(c);
    }

    pub(super) fn consume(
        &mut self,
        app: &mut impl App,
        c: usize,
        data: &mut [u8],
        t: u64,
    ) -> Result<usize, String> {
        let mut at = 0;
        if self.conns[c].state == State::Raw {
            return Ok(app.on_raw(self, c, data, t));
        }
        if self.conns[c].state == State::Upgrading {
            let Some(end) = memchr::memmem::find(data, b"\r\n\r\n") else {
                return if data.len() > 16384 {
                    Err("HTTP head too long".into())
                } else {
                    Ok(0)
                };
            };
            let head = String::from_utf8_lossy(&data[..end]).into_owned();
            at = end + 4;
            if self.conns[c].client {
                if !head.starts_with("HTTP/1.1 101") {
                    let body = String::from_utf8_lossy(&data[at..]).into_owned();
                    return Err(format!(
                        "upgrade refused: {} {}",
                        head.lines().next().unwrap_or(""),
                        body.chars().take(200).collect::<String>()
                    ));
                }
                if !head.contains(WS_ACCEPT) {
                    return Err("wrong Sec-WebSocket-Accept".into());
                }
            } else {
                let asked = head.split(' ').nth(1).unwrap_or_default();
                self.conns[c].request_target = asked.to_string();
                let r = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WS_ACCEPT}\r\n\r\n"
                );
                self.conns[c].wbuf.extend_from_slice(r.as_bytes());
                self.mark(c);
            }
            self.conns[c].state = State::Open;
            app.on_ws_open(self, c, t);
        }
        while let Some(f) = frame(&data[at..])? {
            let (s, e) = (at + f.start, at + f.end);
            if let Some(m) = f.mask {
                xor_mask(&mut data[s..e], m);
            }
            at = e;
            let payload = &data[s..e];
            match f.op {
                0x1 if f.fin => app.on_text(self, c, payload, t),
                0x0 | 0x1 => {
                    self.conns[c].frag.extend_from_slice(payload);
                    if f.fin {
                        let whole = std::mem::take(&mut self.conns[c].frag);
                        app.on_text(self, c, &whole, t);
                    }
                }
                0x9 => {
                    let p = payload.to_vec();
                    self.send_frame(c, 0xA, &p);
                }
                0xA => {}
                0x8 => {
                    let code = if payload.len() >= 2 {
                        u16::from_be_bytes([payload[0], payload[1]])
                    } else {
                        1005
                    };
                    return Err(format!("closed by the peer, code {code}"));
                }
                op => return Err(format!("unexpected opcode {op}")),
            }
            if self.conns[c].state == State::Closed {
                return Ok(at);
            }
        }
        Ok(at)
    }

    /// Polite end of a client connection.
    pub fn say_bye(&mut self, c: usize) {
        self.send_frame(c, 0x8, &1000u16.to_be_bytes());
    }
}
