//! Owns one epoll loop and its connections, for both sides of a benchmark. Does not know the messages on them.
//!
//! One shared read buffer, frames parsed in place, all sends of one readiness event in one write.
//! This is what keeps the generator cheaper than the server it drives.

mod frame;
mod ready;
mod wait;
mod websocket;

pub use frame::{WS_KEY, server_text_frame};
pub use wait::Wait;

use crate::num::fit;
use crate::os::Epoll;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds of `CLOCK_MONOTONIC` since the first call in this process.
#[inline]
pub fn now() -> u64 {
    fit(START.get_or_init(Instant::now).elapsed().as_nanos())
}

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
    /// Server role: the target of the upgrade request, path and query.
    pub request_target: String,
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

pub struct Net {
    epoll: Epoll,
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
    pub fn new(wait: Wait) -> Result<Net, String> {
        Ok(Net {
            epoll: Epoll::new().map_err(|e| format!("epoll: {e}"))?,
            wait,
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

    fn add(&mut self, sock: Socket, state: State, client: bool, events: u32) -> usize {
        let c = self.conns.len();
        self.epoll
            .ctl(libc::EPOLL_CTL_ADD, sock.as_raw_fd(), events, c);
        self.conns.push(Conn {
            sock: Some(sock),
            state,
            rbuf: Vec::new(),
            wbuf: Vec::new(),
            wpos: 0,
            armed_write: events & libc::EPOLLOUT as u32 != 0,
            frag: Vec::new(),
            handshake: Vec::new(),
            request_target: String::new(),
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
        let fd = sock.as_raw_fd();
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
            let out = if pending { libc::EPOLLOUT as u32 } else { 0 };
            let events = libc::EPOLLIN as u32 | out;
            self.epoll.ctl(libc::EPOLL_CTL_MOD, fd, events, c);
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

    /// Closes without notifying the app.
    pub fn drop_conn(&mut self, c: usize) {
        let conn = &mut self.conns[c];
        conn.state = State::Closed;
        conn.sock = None; // closing the fd removes it from epoll
        conn.rbuf = Vec::new();
        conn.wbuf = Vec::new();
        conn.wpos = 0;
    }
}
