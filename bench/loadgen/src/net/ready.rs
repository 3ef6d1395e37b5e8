//! Owns waiting, and the reading of what is there. It refuses to know what the bytes mean.

use super::{App, Net, State, Wait, now};
use std::io::{self, Read};

impl Net {
    /// Waits at most `timeout_ns` (None: for ever) and handles what is ready.
    pub fn poll(&mut self, app: &mut impl App, timeout_ns: Option<u64>) -> io::Result<()> {
        self.flush_dirty(app);
        let mut evs: [libc::epoll_event; 512] = unsafe { std::mem::zeroed() };
        let n = match self.wait {
            Wait::Block => self.epoll(&mut evs, timeout_ns)?,
            how => {
                let end = timeout_ns.map_or(u64::MAX, |t| now() + t);
                loop {
                    let n = self.epoll(&mut evs, Some(0))?;
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
            let c = ev.u64 as usize;
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

    fn epoll(
        &mut self,
        evs: &mut [libc::epoll_event],
        timeout_ns: Option<u64>,
    ) -> io::Result<usize> {
        let ts;
        let tsp = match timeout_ns {
            Some(ns) => {
                ts = libc::timespec {
                    tv_sec: (ns / 1_000_000_000) as _,
                    tv_nsec: (ns % 1_000_000_000) as _,
                };
                &ts as *const libc::timespec
            }
            None => std::ptr::null(),
        };
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.ep,
                evs.as_mut_ptr(),
                evs.len() as i32,
                tsp,
                std::ptr::null::<u8>(),
                8usize,
            )
        };
        self.polls += 1;
        if n < 0 {
            let e = io::Error::last_os_error();
            return if e.kind() == io::ErrorKind::Interrupted {
                Ok(0)
            } else {
                Err(e)
            };
        }
        Ok(n as usize)
    }

    fn ready(&mut self, app: &mut impl App, c: usize, events: u32) {
        match self.conns[c].state {
            State::Closed => return,
            State::Listening => return self.accept(app, c),
            State::Connecting => {
                if events & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32 == 0 {
                    return;
                }
                let err = self.conns[c].sock.as_ref().unwrap().take_error();
                match err {
                    Ok(None) => {}
                    Ok(Some(e)) | Err(e) => return self.close(c, app, &format!("connect: {e}")),
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
        loop {
            let r = self.conns[c].sock.as_ref().unwrap().accept();
            match r {
                Ok((s, _)) => {
                    let _ = s.set_nonblocking(true);
                    let _ = s.set_tcp_nodelay(true);
                    let n = self.add(s, State::Upgrading, false, libc::EPOLLIN as u32);
                    app.on_accept(self, n);
                }
                Err(_) => return,
            }
        }
    }

    fn read(&mut self, app: &mut impl App, c: usize) {
        let mut buf = std::mem::take(&mut self.buf);
        let conn = &mut self.conns[c];
        let Some(mut sock) = conn.sock.as_ref() else {
            self.buf = buf;
            return;
        };
        let res = sock.read(&mut buf);
        self.reads += 1;
        let why = match res {
            Ok(0) => Some("closed by the server".to_string()),
            Ok(n) => {
                self.bytes_in += n as u64;
                let t = now();
                if conn.rbuf.is_empty() {
                    match self.consume(app, c, &mut buf[..n], t) {
                        Ok(used) => {
                            if used < n && self.conns[c].state != State::Closed {
                                self.conns[c].rbuf.extend_from_slice(&buf[used..n]);
                            }
                            None
                        }
                        Err(e) => Some(e),
                    }
                } else {
                    let mut r = std::mem::take(&mut conn.rbuf);
                    r.extend_from_slice(&buf[..n]);
                    match self.consume(app, c, &mut r, t) {
                        Ok(used) => {
                            if self.conns[c].state != State::Closed {
                                r.drain(..used);
                                if !r.is_empty() {
                                    self.conns[c].rbuf = r;
                                }
                            }
                            None
                        }
                        Err(e) => Some(e),
                    }
                }
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
        if let Some(w) = why {
            self.close(c, app, &w);
        }
    }
}
