//! System calls that neither std nor socket2 offers. The only unsafe code of this program.
#![expect(unsafe_code, reason = "system calls")]

use crate::num::fit;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

fn sysconf(name: libc::c_int) -> u64 {
    // SAFETY: takes an integer and returns one.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0)
}

/// Length of a clock tick, the unit of CPU time in /proc; ns.
pub fn tick_ns() -> u64 {
    1_000_000_000 / sysconf(libc::_SC_CLK_TCK).max(1)
}

pub fn page_bytes() -> u64 {
    sysconf(libc::_SC_PAGESIZE)
}

/// User and system time of this process, ns.
pub fn own_times() -> (u64, u64) {
    let ns = |t: libc::timeval| {
        u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000
            + u64::try_from(t.tv_usec).unwrap_or(0) * 1000
    };
    // SAFETY: zeros are a valid rusage, and the call writes only to it.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut used);
        used
    };
    (ns(used.ru_utime), ns(used.ru_stime))
}

/// Restricts this process to these CPUs.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: zeros are an empty set, CPU_SET checks its index, and the size passed is that of the set.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for cpu in cpus {
            libc::CPU_SET(*cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set) != 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn open_files() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes only to `limit`.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 };
    (!failed).then_some(limit)
}

/// The soft limit of open files.
pub fn max_open_files() -> u64 {
    open_files().map_or(0, |limit| limit.rlim_cur)
}

/// Raises the soft limit of open files to the hard limit.
pub fn raise_open_files() {
    if let Some(mut limit) = open_files() {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the call only reads `limit`.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Sets the timer slack to its minimum: by default a timer may fire 50 µs late.
pub fn sharpen_timers() {
    // SAFETY: takes integers only; prctl is variadic, and this option reads an unsigned long.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Sets the nice value. Without the privilege for a negative one, it stays as it is.
pub fn set_priority(nice: i32) {
    // SAFETY: takes integers only.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: takes an integer only.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and has no other owner.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// `EPOLL_CTL_ADD` or `EPOLL_CTL_MOD`. Closing a file descriptor removes it.
    pub fn ctl(&self, op: libc::c_int, fd: RawFd, events: u32, token: usize) {
        let mut event = libc::epoll_event {
            events,
            u64: fit(token),
        };
        // SAFETY: the event outlives the call; a bad descriptor only yields an error.
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), op, fd, &raw mut event) };
    }

    /// Waits at most `timeout_ns` (`None`: without a limit). Returns the number of events; 0 after a signal.
    pub fn wait(
        &self,
        events: &mut [libc::epoll_event],
        timeout_ns: Option<u64>,
    ) -> io::Result<usize> {
        let timeout = timeout_ns.map(|ns| libc::timespec {
            tv_sec: fit(ns / 1_000_000_000),
            tv_nsec: fit(ns % 1_000_000_000),
        });
        let max: libc::c_int = fit(events.len());
        // SAFETY: the kernel writes at most `max` events and reads the timeout unless it is null. No signal mask is
        // passed; its size must still be the kernel's.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                max,
                timeout
                    .as_ref()
                    .map_or(std::ptr::null(), std::ptr::from_ref),
                std::ptr::null::<u8>(),
                8usize,
            )
        };
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => Ok(0),
                e => Err(e),
            },
        }
    }
}
