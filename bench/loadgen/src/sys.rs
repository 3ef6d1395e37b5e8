//! Owns process statistics (CPU time and memory from /proc), pinning and limits. Does not know the scenario.

use crate::os;
use serde_json::{Value, json};

#[derive(Clone, Copy, Default, Debug)]
pub struct Cpu {
    pub user: u64,
    pub sys: u64,
}

impl Cpu {
    pub fn total(&self) -> u64 {
        self.user + self.sys
    }
    pub fn since(&self, o: &Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(o.user),
            sys: self.sys.saturating_sub(o.sys),
        }
    }
}

/// user and system time (ns) of all threads of a process, from /proc/PID/stat.
pub fn cpu_of(pid: u32) -> Option<Cpu> {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let f: Vec<&str> = s[s.rfind(')')? + 2..].split(' ').collect();
    let t = os::tick_ns();
    Some(Cpu {
        user: f[11].parse::<u64>().ok()? * t,
        sys: f[12].parse::<u64>().ok()? * t,
    })
}

pub fn rss_of(pid: u32) -> Option<u64> {
    let s = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = s.split(' ').nth(1)?.parse().ok()?;
    Some(pages * os::page_bytes())
}

pub fn threads_of(pid: u32) -> Option<u64> {
    Some(std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.count() as u64)
}

/// Time (ns) that threads of a process stood ready to run while something else had the CPU. Threads that ended are not in it.
pub fn run_wait_of(pid: u32) -> u64 {
    let Ok(dir) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    dir.flatten()
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(|s| s.split(' ').nth(1)?.parse::<u64>().ok())
        .sum()
}

/// This process, to the microsecond.
pub fn own_cpu() -> Cpu {
    let (user, sys) = os::own_times();
    Cpu { user, sys }
}

/// (busy without steal, steal) of the whole machine, ns.
pub fn machine() -> (u64, u64) {
    let s = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let v: Vec<u64> = s
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .filter_map(|x| x.parse().ok())
        .collect();
    if v.len() < 8 {
        return (0, 0);
    }
    let t = os::tick_ns();
    ((v[0] + v[1] + v[2] + v[5] + v[6]) * t, v[7] * t)
}

/// A group of processes that is reported as one: the server (all its workers), or the store.
#[derive(Clone)]
pub struct Group {
    pub name: String,
    pub pids: Vec<u32>,
}

impl Group {
    pub fn cpu(&self) -> Cpu {
        self.pids
            .iter()
            .filter_map(|p| cpu_of(*p))
            .fold(Cpu::default(), |a, b| Cpu {
                user: a.user + b.user,
                sys: a.sys + b.sys,
            })
    }
    pub fn run_wait(&self) -> u64 {
        self.pids.iter().map(|p| run_wait_of(*p)).sum()
    }
    pub fn rss(&self) -> u64 {
        self.pids.iter().filter_map(|p| rss_of(*p)).sum()
    }
    pub fn threads(&self) -> u64 {
        self.pids.iter().filter_map(|p| threads_of(*p)).sum()
    }
    pub fn alive(&self) -> bool {
        self.pids.iter().all(|p| cpu_of(*p).is_some())
    }
}

#[derive(Clone)]
pub struct Sample {
    pub at: u64,
    pub server: Cpu,
    pub also: Vec<Cpu>,
    pub own: Cpu,
    pub machine: (u64, u64),
    pub rss: u64,
    pub wait: (u64, u64),
}

pub struct Watch {
    pub server: Option<Group>,
    pub also: Vec<Group>,
    pub rss_peak: u64,
    next: u64,
}

impl Watch {
    pub fn new(pids: &[u32], also: &[String]) -> Result<Watch, String> {
        let server = (!pids.is_empty()).then(|| Group {
            name: "server".into(),
            pids: pids.to_vec(),
        });
        let mut list: Vec<Group> = Vec::new();
        for a in also {
            let (n, p) = a
                .split_once('=')
                .ok_or(format!("--also wants NAME=PID, not {a}"))?;
            let p: u32 = p
                .parse()
                .map_err(|_| format!("--also wants NAME=PID, not {a}"))?;
            match list.iter_mut().find(|g| g.name == n) {
                Some(g) => g.pids.push(p),
                None => list.push(Group {
                    name: n.into(),
                    pids: vec![p],
                }),
            }
        }
        for g in server.iter().chain(&list) {
            if !g.alive() {
                return Err(format!("no such process for {}: {:?}", g.name, g.pids));
            }
        }
        Ok(Watch {
            server,
            also: list,
            rss_peak: 0,
            next: 0,
        })
    }

    pub fn sample(&mut self) -> Sample {
        let rss = self.server.as_ref().map_or(0, Group::rss);
        self.rss_peak = self.rss_peak.max(rss);
        Sample {
            at: crate::net::now(),
            server: self.server.as_ref().map_or(Cpu::default(), Group::cpu),
            also: self.also.iter().map(Group::cpu).collect(),
            own: own_cpu(),
            machine: machine(),
            rss,
            wait: (
                self.server.as_ref().map_or(0, Group::run_wait),
                run_wait_of(std::process::id()),
            ),
        }
    }

    /// Keeps the peak up to date, four times a second.
    pub fn tick(&mut self, now: u64) {
        if now >= self.next {
            self.next = now + 250_000_000;
            if let Some(g) = &self.server {
                self.rss_peak = self.rss_peak.max(g.rss());
            }
        }
    }

    pub fn report(&self, a: &Sample, b: &Sample, acked: u64, delivered: u64) -> Value {
        let wall = (b.at - a.at) as f64;
        let own = b.own.since(&a.own);
        let srv = b.server.since(&a.server);
        let share = |c: &Cpu| c.total() as f64 / wall * 100.0;
        let mut also = serde_json::Map::new();
        let mut known = own.total() + srv.total();
        for (i, g) in self.also.iter().enumerate() {
            let c = b.also[i].since(&a.also[i]);
            known += c.total();
            also.insert(
                g.name.clone(),
                json!({"cpu_user_s": c.user as f64 / 1e9, "cpu_sys_s": c.sys as f64 / 1e9, "cpu_pct": share(&c),
                       "cpu_us_per_ack": per(c.total(), acked), "rss_bytes": g.rss()}),
            );
        }
        let busy = b.machine.0.saturating_sub(a.machine.0);
        let mut v = json!({
            "window_s": wall / 1e9,
            "generator": {"cpu_user_s": own.user as f64 / 1e9, "cpu_sys_s": own.sys as f64 / 1e9, "cpu_pct": share(&own),
                          "run_wait_pct": b.wait.1.saturating_sub(a.wait.1) as f64 / wall * 100.0,
                          "cpu_us_per_delivery": per(own.total(), delivered)},
            "also": also,
            "other_cpu_pct": busy.saturating_sub(known) as f64 / wall * 100.0,
            "steal_pct": b.machine.1.saturating_sub(a.machine.1) as f64 / wall * 100.0,
        });
        if let Some(g) = &self.server {
            v["server"] = json!({
                "cpu_user_s": srv.user as f64 / 1e9, "cpu_sys_s": srv.sys as f64 / 1e9, "cpu_pct": share(&srv),
                "run_wait_pct": b.wait.0.saturating_sub(a.wait.0) as f64 / wall * 100.0,
                "cpu_us_per_delivery": per(srv.total(), delivered), "cpu_us_per_ack": per(srv.total(), acked),
                "rss_start_bytes": a.rss, "rss_end_bytes": b.rss, "rss_peak_bytes": self.rss_peak, "threads": g.threads(),
                "alive": g.alive(),
            });
        }
        v
    }
}

fn per(ns: u64, n: u64) -> Value {
    if n == 0 {
        Value::Null
    } else {
        json!((ns as f64 / 1000.0 / n as f64 * 1000.0).round() / 1000.0)
    }
}

pub fn pin(cpus: &str) -> Result<(), String> {
    let parts = cpus.split(',').map(|part| part.trim().parse());
    let list: Vec<usize> = parts
        .collect::<Result<_, _>>()
        .map_err(|_| format!("bad --pin {cpus}"))?;
    os::set_affinity(&list).map_err(|e| format!("--pin {cpus}: {e}"))
}

pub fn prepare(prio: i32) {
    os::raise_open_files();
    os::sharpen_timers();
    if prio != 0 {
        os::set_priority(prio);
    }
}

/// Whether so many connections may be open.
pub fn may_open(connections: usize) -> Result<(), String> {
    let limit = os::max_open_files();
    if connections as u64 + 64 > limit {
        return Err(format!(
            "{connections} connections, but the open files limit is {limit}"
        ));
    }
    Ok(())
}
