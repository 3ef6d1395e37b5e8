//! Owns the WebSocket protocol of one connection: upgrade, frames out, frames in. Does not read or write sockets.

use super::frame::{Frame, WS_ACCEPT, frame, push_length, xor_mask};
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
        let w = &mut conn.wbuf;
        w.push(0x80 | op);
        push_length(w, if conn.client { 0x80 } else { 0 }, payload.len());
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
            at = self.upgrade(c, data)?;
            if at == 0 {
                return Ok(0);
            }
            app.on_ws_open(self, c, t);
        }
        while let Some(found) = frame(&data[at..])? {
            let payload = &mut data[at + found.start..at + found.end];
            at += found.end;
            if let Some(mask) = found.mask {
                xor_mask(payload, mask);
            }
            self.on_frame(app, c, &found, payload, t)?;
            if self.conns[c].state == State::Closed {
                break;
            }
        }
        Ok(at)
    }

    /// Handles the HTTP upgrade. Returns where its head ends; 0 while it is incomplete.
    fn upgrade(&mut self, c: usize, data: &[u8]) -> Result<usize, String> {
        let Some(end) = memchr::memmem::find(data, b"\r\n\r\n") else {
            return if data.len() > 16384 {
                Err("HTTP head too long".into())
            } else {
                Ok(0)
            };
        };
        let head = String::from_utf8_lossy(&data[..end]);
        if self.conns[c].client {
            if !head.starts_with("HTTP/1.1 101") {
                let body = String::from_utf8_lossy(&data[end + 4..]);
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
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WS_ACCEPT}\r\n\r\n"
            );
            self.conns[c].wbuf.extend_from_slice(answer.as_bytes());
            self.mark(c);
        }
        self.conns[c].state = State::Open;
        Ok(end + 4)
    }

    #[inline]
    fn on_frame(
        &mut self,
        app: &mut impl App,
        c: usize,
        frame: &Frame,
        payload: &[u8],
        t: u64,
    ) -> Result<(), String> {
        match frame.op {
            0x1 if frame.fin => app.on_text(self, c, payload, t),
            0x0 | 0x1 => {
                self.conns[c].frag.extend_from_slice(payload);
                if frame.fin {
                    let whole = std::mem::take(&mut self.conns[c].frag);
                    app.on_text(self, c, &whole, t);
                }
            }
            0x9 => self.send_frame(c, 0xA, payload),
            0xA => {}
            0x8 => {
                let code = payload.first_chunk().copied();
                let code = code.map_or(1005, u16::from_be_bytes);
                return Err(format!("closed by the peer, code {code}"));
            }
            op => return Err(format!("unexpected opcode {op}")),
        }
        Ok(())
    }

    /// Ends a client connection with a close frame.
    pub fn send_close(&mut self, c: usize) {
        self.send_frame(c, 0x8, &1000u16.to_be_bytes());
    }
}
