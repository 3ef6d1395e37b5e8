//! Single-threaded epoll loop with just enough WebSocket (RFC 6455) for both sides of a benchmark.
//!
//! One shared read buffer, frames parsed in place, all sends of one readiness event in one write.
//! This is what keeps the generator cheaper than the server it drives.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds of CLOCK_MONOTONIC since this process first asked.
#[inline]
pub fn now() -> u64 {
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The RFC 6455 sample nonce: a constant key lets the accept value be checked without SHA-1.
pub const WS_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const WS_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    Upgrading,
    Open,
    Closed,
    /// Raw byte stream (the store probe): no WebSocket framing.
    Raw,
    Listening,
}

pub struct Conn {
    sock: Option<Socket>,
    pub state: State,
    rbuf: Vec<u8>,
    wbuf: Vec<u8>,
    wpos: usize,
    armed_write: bool,
    frag: Vec<u8>,
    handshake: Vec<u8>,
    dirty: bool,
    client: bool,
}

#[allow(unused_variables)]
pub trait App {
    fn on_ws_open(&mut self, net: &mut Net, c: usize, now: u64) {}
    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], now: u64) {}
    fn on_close(&mut self, net: &mut Net, c: usize, why: &str) {}
    fn on_accept(&mut self, net: &mut Net, c: usize) {}
    /// Raw mode: returns how many bytes were consumed.
    fn on_raw(&mut self, net: &mut Net, c: usize, data: &[u8], now: u64) -> usize {
        data.len()
    }
}

/// How the loop waits. A blocked epoll makes the server's send wake this process, and on loopback the server pays
/// for that wake-up (an interrupt to another CPU); a remote client costs it nothing of the kind. Sleeping on a timer
/// (nap) or not at all (spin) leaves the server with its own work only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    Block,
    Spin,
    /// Look every so many ns; latencies read up to this much too long.
    Nap(u64),
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wait::Block => f.write_str("block"),
            Wait::Spin => f.write_str("spin"),
            Wait::Nap(ns) => write!(f, "nap:{}", ns / 1000),
        }
    }
}

impl std::str::FromStr for Wait {
    type Err = String;
    fn from_str(s: &str) -> Result<Wait, String> {
        match s {
            "block" => Ok(Wait::Block),
            "spin" => Ok(Wait::Spin),
            _ => match s.strip_prefix("nap:").and_then(|n| n.parse::<u64>().ok()) {
                Some(us) if us > 0 => Ok(Wait::Nap(us * 1000)),
                _ => Err("block, spin or nap:MICROSECONDS".into()),
            },
        }
    }
}

pub struct Net {
    ep: RawFd,
    pub wait: Wait,
    /// time spent handling events, ns
    pub busy_ns: u64,
    pub conns: Vec<Conn>,
    buf: Vec<u8>,
    rng: u32,
    dirty: Vec<usize>,
    /// Server role: hold writes back until the whole batch of events has been handled.
    pub flush_per_batch: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub reads: u64,
    pub writes: u64,
    pub polls: u64,
}

const READ_BUF: usize = 256 * 1024;

impl Net {
    pub fn new() -> io::Result<Net> {
        let ep = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if ep < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Net {
            ep,
            wait: Wait::Block,
            busy_ns: 0,
            conns: Vec::new(),
            buf: vec![0; READ_BUF],
            rng: 0x9E37_79B9,
            dirty: Vec::new(),
            flush_per_batch: false,
            bytes_in: 0,
            bytes_out: 0,
            reads: 0,
            writes: 0,
            polls: 0,
        })
    }

    fn ctl(&self, op: i32, fd: RawFd, events: u32, token: usize) {
        let mut ev = libc::epoll_event {
            events,
            u64: token as u64,
        };
        unsafe { libc::epoll_ctl(self.ep, op, fd, &mut ev) };
    }

    fn add(&mut self, sock: Socket, state: State, client: bool, events: u32) -> usize {
        let c = self.conns.len();
        self.ctl(libc::EPOLL_CTL_ADD, sock.as_raw_fd(), events, c);
        self.conns.push(Conn {
            sock: Some(sock),
            state,
            rbuf: Vec::new(),
            wbuf: Vec::new(),
            wpos: 0,
            armed_write: events & libc::EPOLLOUT as u32 != 0,
            frag: Vec::new(),
            handshake: Vec::new(),
            dirty: false,
            client,
        });
        c
    }

    pub fn listen(&mut self, addr: SocketAddr) -> io::Result<usize> {
        let s = Socket::new(
            Domain::for_address(addr),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        s.set_reuse_address(true)?;
        s.bind(&SockAddr::from(addr))?;
        s.listen(4096)?;
        Ok(self.add(s, State::Listening, false, libc::EPOLLIN as u32))
    }

    /// Starts a connection. `handshake` is the complete HTTP upgrade request; None means raw bytes.
    pub fn connect(
        &mut self,
        addr: SocketAddr,
        src: Option<Ipv4Addr>,
        handshake: Option<Vec<u8>>,
    ) -> io::Result<usize> {
        let s = Socket::new(
            Domain::for_address(addr),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        s.set_tcp_nodelay(true)?;
        if let Some(ip) = src {
            s.bind(&SockAddr::from(SocketAddrV4::new(ip, 0)))?;
        }
        match s.connect(&SockAddr::from(addr)) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(e) => return Err(e),
        }
        let c = self.add(
            s,
            State::Connecting,
            true,
            (libc::EPOLLIN | libc::EPOLLOUT) as u32,
        );
        if let Some(h) = handshake {
            self.conns[c].handshake = h;
        }
        Ok(c)
    }

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

    /// Queues bytes as they are: a frame encoded once for many receivers, or the raw probe.
    pub fn send_raw(&mut self, c: usize, bytes: &[u8]) {
        let conn = &mut self.conns[c];
        if conn.state == State::Closed {
            return;
        }
        conn.wbuf.extend_from_slice(bytes);
        self.mark(c);
    }

    fn mark(&mut self, c: usize) {
        if !self.conns[c].dirty {
            self.conns[c].dirty = true;
            self.dirty.push(c);
        }
    }

    pub fn flush_dirty(&mut self, app: &mut impl App) {
        let mut list = std::mem::take(&mut self.dirty);
        for c in list.drain(..) {
            self.conns[c].dirty = false;
            if let Err(e) = self.flush(c) {
                self.close(c, app, &format!("write: {e}"));
            }
        }
        // keep the allocation unless a close handler queued something
        if self.dirty.is_empty() {
            self.dirty = list;
        }
    }

    fn flush(&mut self, c: usize) -> io::Result<()> {
        let conn = &mut self.conns[c];
        let Some(mut sock) = conn.sock.as_ref() else {
            return Ok(());
        };
        if conn.state == State::Connecting {
            return Ok(());
        }
        while conn.wpos < conn.wbuf.len() {
            match sock.write(&conn.wbuf[conn.wpos..]) {
                Ok(n) => {
                    conn.wpos += n;
                    self.bytes_out += n as u64;
                    self.writes += 1;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let pending = conn.wpos < conn.wbuf.len();
        if !pending {
            conn.wbuf.clear();
            conn.wpos = 0;
            if conn.wbuf.capacity() > 1 << 20 {
                conn.wbuf = Vec::new();
            }
        }
        if pending != conn.armed_write {
            conn.armed_write = pending;
            let fd = conn.sock.as_ref().unwrap().as_raw_fd();
            let ev = if pending {
                libc::EPOLLIN | libc::EPOLLOUT
            } else {
                libc::EPOLLIN
            };
            self.ctl(libc::EPOLL_CTL_MOD, fd, ev as u32, c);
        }
        Ok(())
    }

    pub fn close(&mut self, c: usize, app: &mut impl App, why: &str) {
        if self.conns[c].state == State::Closed {
            return;
        }
        self.drop_conn(c);
        app.on_close(self, c, why);
    }

    /// Closes without telling the app.
    pub fn drop_conn(&mut self, c: usize) {
        let conn = &mut self.conns[c];
        conn.state = State::Closed;
        conn.sock = None; // closing the fd removes it from epoll
        conn.rbuf = Vec::new();
        conn.wbuf = Vec::new();
        conn.wpos = 0;
    }

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

    fn consume(
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
                let r = format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {WS_ACCEPT}\r\n\r\n");
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

struct Frame {
    op: u8,
    fin: bool,
    start: usize,
    end: usize,
    mask: Option<[u8; 4]>,
}

#[inline]
fn frame(d: &[u8]) -> Result<Option<Frame>, String> {
    if d.len() < 2 {
        return Ok(None);
    }
    if d[0] & 0x70 != 0 {
        return Err("reserved bits set: an extension that was not negotiated".into());
    }
    let (mut at, len) = match d[1] & 0x7f {
        126 if d.len() < 4 => return Ok(None),
        126 => (4, u16::from_be_bytes([d[2], d[3]]) as usize),
        127 if d.len() < 10 => return Ok(None),
        127 => (
            10,
            u64::from_be_bytes(d[2..10].try_into().unwrap()) as usize,
        ),
        n => (2, n as usize),
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
    let n = payload.len();
    out.push(0x81);
    if n < 126 {
        out.push(n as u8);
    } else if n < 65536 {
        out.push(126);
        out.extend_from_slice(&(n as u16).to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(n as u64).to_be_bytes());
    }
    out.extend_from_slice(payload);
}

#[inline]
fn xor_mask(d: &mut [u8], mask: [u8; 4]) {
    let m8 = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let mut it = d.chunks_exact_mut(8);
    for w in &mut it {
        let v = u64::from_ne_bytes((&*w).try_into().unwrap()) ^ m8;
        w.copy_from_slice(&v.to_ne_bytes());
    }
    for (i, b) in it.into_remainder().iter_mut().enumerate() {
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
        for (i, b) in long.iter().enumerate() {
            assert_eq!(*b, i as u8 ^ [1, 2, 3, 4][i & 3]);
        }
    }
}
