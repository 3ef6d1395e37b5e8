//! Owns waiting for events and reading. Does not know the meaning of the bytes.

use super::{App, Net, State, Wait, now};
use crate::num::fit;
use socket2::Socket;
use std::io::{self, Read};

impl Net {
    /// Waits at most `timeout_ns` (None: for ever) and handles ready connections.
    pub fn poll(&mut self, app: &mut impl App, timeout_ns: Option<u64>) -> io::Result<()> {
        self.flush_dirty(app);
        let mut evs = [libc::epoll_event { events: 0, u64: 0 }; 512];
        let n = match self.wait {
            Wait::Block => self.wait_once(&mut evs, timeout_ns)?,
            how => {
                let end = timeout_ns.map_or(u64::MAX, |t| now() + t);
                loop {
                    let n = self.wait_once(&mut evs, Some(0))?;
                    if n > 0 {
                        break n;
                    }
                    let t = now();
                    if t >= end {
                        break 0;
                    }
                    if let Wait::Nap(ns) = how {
                        let d = std::time::Duration::from_nanos(ns.min(end - t));
                        std::thread::sleep(d);
                    }
                }
            }
        };
        if n == 0 {
            return Ok(());
        }
        let t = now();
        for ev in &evs[..n] {
            let c = fit(ev.u64);
            self.ready(app, c, ev.events);
            if !self.flush_per_batch {
                self.flush_dirty(app);
            }
        }
        if self.flush_per_batch {
            self.flush_dirty(app);
        }
        self.busy_ns += now() - t;
        Ok(())
    }

    fn wait_once(
        &mut self,
        evs: &mut [libc::epoll_event],
        timeout_ns: Option<u64>,
    ) -> io::Result<usize> {
        self.polls += 1;
        self.epoll.wait(evs, timeout_ns)
    }

    fn ready(&mut self, app: &mut impl App, c: usize, events: u32) {
        match self.conns[c].state {
            State::Closed => return,
            State::Listening => return self.accept(app, c),
            State::Connecting => {
                if events & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32 == 0 {
                    return;
                }
                let error = self.conns[c].sock.as_ref().map(Socket::take_error);
                match error {
                    None | Some(Ok(None)) => {}
                    Some(Ok(Some(e)) | Err(e)) => {
                        return self.close(c, app, &format!("connect: {e}"));
                    }
                }
                let h = std::mem::take(&mut self.conns[c].handshake);
                if h.is_empty() {
                    self.conns[c].state = State::Raw;
                    app.on_ws_open(self, c, now());
                } else {
                    self.conns[c].state = State::Upgrading;
                    self.conns[c].wbuf.extend_from_slice(&h);
                }
                if let Err(e) = self.flush(c) {
                    return self.close(c, app, &format!("write: {e}"));
                }
            }
            _ if events & libc::EPOLLOUT as u32 != 0 => {
                if let Err(e) = self.flush(c) {
                    return self.close(c, app, &format!("write: {e}"));
                }
            }
            _ => {}
        }
        if events & (libc::EPOLLIN | libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP) as u32 != 0
        {
            self.read(app, c);
        }
    }

    fn accept(&mut self, app: &mut impl App, c: usize) {
        let accept = |net: &Net| net.conns[c].sock.as_ref()?.accept().ok();
        while let Some((sock, _)) = accept(self) {
            let _ = sock.set_nonblocking(true);
            let _ = sock.set_tcp_nodelay(true);
            let accepted = self.add(sock, State::Upgrading, false, libc::EPOLLIN as u32);
            app.on_accept(self, accepted);
        }
    }

    fn read(&mut self, app: &mut impl App, c: usize) {
        let mut buf = std::mem::take(&mut self.buf);
        let Some(mut sock) = self.conns[c].sock.as_ref() else {
            self.buf = buf;
            return;
        };
        let read = sock.read(&mut buf);
        self.reads += 1;
        let why = match read {
            Ok(0) => Some("closed by the server".to_string()),
            Ok(n) => {
                self.bytes_in += n as u64;
                self.take(app, c, &mut buf[..n]).err()
            }
            Err(e)
                if e.kind() == io::ErrorKind::WouldBlock
                    || e.kind() == io::ErrorKind::Interrupted =>
            {
                None
            }
            Err(e) => Some(format!("read: {e}")),
        };
        self.buf = buf;
        if let Some(why) = why {
            self.close(c, app, &why);
        }
    }

    /// Appends new bytes to the incomplete frame of the last read, if any, and handles all complete frames.
    fn take(&mut self, app: &mut impl App, c: usize, new: &mut [u8]) -> Result<(), String> {
        let t = now();
        if self.conns[c].rbuf.is_empty() {
            let used = self.consume(app, c, new, t)?;
            if self.conns[c].state != State::Closed {
                self.conns[c].rbuf.extend_from_slice(&new[used..]);
            }
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.conns[c].rbuf);
        all.extend_from_slice(new);
        let used = self.consume(app, c, &mut all, t)?;
        if self.conns[c].state != State::Closed {
            all.drain(..used);
            if !all.is_empty() {
                self.conns[c].rbuf = all;
            }
        }
        Ok(())
    }
}
