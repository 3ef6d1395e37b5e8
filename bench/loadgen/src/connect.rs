//! Owns the scenario connect: the rate of connecting, and the cost of an idle connection. Does not send messages.

use crate::client::{Common, Errors, Target, Vars, step};
use crate::net::{App, Net, State, now};
use crate::num::ns;
use crate::report::{self, Hist, hist};
use crate::run::Outcome;
use crate::sio::{self, Pkt};
use crate::sys::{Cpu, Group, Sample, Watch};
use clap::Args;
use serde_json::{Value, json};

#[derive(Args, Clone, Debug)]
pub struct ConnectArgs {
    /// Connections
    #[arg(long, default_value_t = 5000)]
    count: usize,
    /// Seconds to hold them
    #[arg(long, default_value_t = 5.0)]
    hold: f64,
    /// Bind a user on each one (create-user); it then counts into the connect time
    #[arg(long)]
    create_user: bool,
}

struct Conns {
    target: Target,
    total: usize,
    concurrency: usize,
    create_user: bool,
    vars: Vec<Vars>,
    t0: Vec<u64>,
    up: Vec<bool>,
    ready: usize,
    failed: usize,
    lost: usize,
    lat: Hist,
    last_ready: u64,
    errors: Errors,
    pings: u64,
}

impl Conns {
    fn new(target: Target, args: &ConnectArgs, concurrency: usize) -> Conns {
        let vars = |i| Vars {
            i,
            member: i,
            uid: target.uid(0, i),
            ..Default::default()
        };
        Conns {
            vars: (0..args.count).map(vars).collect(),
            target,
            total: args.count,
            concurrency,
            create_user: args.create_user,
            t0: Vec::with_capacity(args.count),
            up: Vec::with_capacity(args.count),
            ready: 0,
            failed: 0,
            lost: 0,
            lat: hist(),
            last_ready: 0,
            errors: Errors::default(),
            pings: 0,
        }
    }

    fn done(&mut self, c: usize, t: u64) {
        self.up[c] = true;
        self.ready += 1;
        self.last_ready = t;
        self.lat.add(t - self.t0[c]);
    }

    fn pump(&mut self, net: &mut Net) -> Result<(), String> {
        while self.t0.len() < self.total
            && self.t0.len() - self.ready - self.failed < self.concurrency
        {
            let i = self.t0.len();
            self.t0.push(now());
            self.up.push(false);
            let c = self
                .target
                .start(net, &self.vars[i])
                .map_err(|e| format!("connect {i}: {e}"))?;
            assert_eq!(c, i);
        }
        Ok(())
    }
}

impl App for Conns {
    fn on_ws_open(&mut self, _net: &mut Net, c: usize, t: u64) {
        if self.target.dialect.path().is_some() {
            self.done(c, t); // the token was taken at the upgrade
        }
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        if self.target.dialect.path().is_some() {
            return net.close(c, self, "an unexpected frame");
        }
        let p = sio::parse(text);
        if matches!(p, Pkt::Ping(_)) {
            self.pings += 1;
        }
        if let Pkt::Ack { id: 0, body } = p {
            if sio::find_id(body).is_some() {
                self.done(c, t);
            } else {
                let e = format!("create-user answered {}", String::from_utf8_lossy(body));
                net.close(c, self, &e);
            }
            return;
        }
        match step(net, c, &self.target, &self.vars[c], &p) {
            Ok(true) if self.create_user => {
                let p = self.target.event(
                    0,
                    "create-user",
                    &json!({"user": {"externalUserId": self.vars[c].uid}}),
                );
                net.send_text(c, &p);
            }
            Ok(true) => self.done(c, t),
            Ok(false) => {}
            Err(e) => net.close(c, self, &e),
        }
    }

    fn on_close(&mut self, _net: &mut Net, c: usize, why: &str) {
        self.errors.add(why);
        if self.up[c] {
            self.lost += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// Samples before the first connection, after the last one, and after the hold.
struct Marks {
    begin: Sample,
    up: Sample,
    end: Sample,
    ramp_ns: u64,
    busy_ns: u64,
    /// Median resident memory of the server in the last second.
    rss_idle: u64,
}

pub fn run(common: &Common, args: &ConnectArgs) -> Outcome {
    let (target, mut watch, mut net) = common.open()?;
    crate::sys::may_open(args.count)?;
    let mut app = Conns::new(target, args, common.concurrency);
    let begin = watch.sample();
    let ramp_ns = ramp(common, &mut app, &mut net, &mut watch)?;
    let (up, busy_ns) = (watch.sample(), net.busy_ns);
    let mut tail = hold(ns(args.hold), &mut app, &mut net, &mut watch)?;
    let end = watch.sample();
    tail.push(end.rss);
    tail.sort_unstable();
    let marks = Marks {
        begin,
        up,
        end,
        ramp_ns,
        busy_ns,
        rss_idle: tail[tail.len() / 2],
    };
    let alive = net.conns.iter().filter(|c| c.state == State::Open).count();
    let ok = app.ready == args.count && app.lost == 0 && app.failed == 0 && alive == args.count;
    let result = result(&app, &watch, &marks, args);
    let resources = resources(&app, &watch, &marks);
    for c in 0..app.t0.len() {
        net.send_close(c);
    }
    net.flush_dirty(&mut app);
    Ok((
        json!({
            "scenario": "connect", "dialect": common.dialect.name(), "label": common.run.label,
            "params": {
                "count": args.count, "concurrency": common.concurrency, "wait": common.wait.to_string(),
                "create_user": args.create_user,
            },
            "result": result,
            "verify": {
                "ok": ok, "ready": app.ready, "failed": app.failed, "lost": app.lost, "alive_at_end": alive,
                "errors": app.errors.map,
            },
            "resources": resources,
        }),
        ok,
    ))
}

/// Opens all connections. Returns the time until the last one was ready, ns.
fn ramp(common: &Common, app: &mut Conns, net: &mut Net, watch: &mut Watch) -> Result<u64, String> {
    let begin = now();
    while app.ready + app.failed < app.total {
        app.pump(net)?;
        let t = now();
        watch.tick(t);
        if t - begin > common.setup_timeout * 1_000_000_000 {
            app.errors.add("setup timeout");
            break;
        }
        net.poll(app, Some(100_000_000))
            .map_err(|e| e.to_string())?;
    }
    Ok(app.last_ready.saturating_sub(begin).max(1))
}

/// Holds the connections idle. Returns samples of the server's resident memory in the last second.
fn hold(
    length_ns: u64,
    app: &mut Conns,
    net: &mut Net,
    watch: &mut Watch,
) -> Result<Vec<u64>, String> {
    let until = now() + length_ns;
    let mut tail = Vec::new();
    loop {
        let t = now();
        if t >= until {
            return Ok(tail);
        }
        watch.tick(t);
        if until - t < 1_000_000_000 {
            tail.push(watch.server.as_ref().map_or(0, Group::rss));
        }
        net.poll(app, Some((until - t).min(100_000_000)))
            .map_err(|e| e.to_string())?;
    }
}

fn resources(app: &Conns, watch: &Watch, marks: &Marks) -> Value {
    let (begin, up) = (&marks.begin, &marks.up);
    let us = |cpu: Cpu| report::r3(cpu.total() as f64 / 1000.0 / app.ready.max(1) as f64);
    let mut resources = watch.report(begin, up, 0, 0);
    if resources["server"].is_object() {
        let server = &mut resources["server"];
        server["cpu_us_per_connection"] = json!(us(up.server.since(&begin.server)));
        server["rss_end_bytes"] = json!(marks.rss_idle);
        server["rss_peak_bytes"] = json!(watch.rss_peak);
    }
    resources["generator"]["cpu_us_per_connection"] = json!(us(up.own.since(&begin.own)));
    resources
}

fn result(app: &Conns, watch: &Watch, marks: &Marks, args: &ConnectArgs) -> Value {
    let Marks { begin, up, end, .. } = marks;
    let ramp_ns = marks.ramp_ns as f64;
    let mut result = json!({
        "connections_per_s": app.ready as f64 * 1e9 / ramp_ns,
        "connect_latency_ms": report::percentiles(&app.lat),
        "ramp_s": ramp_ns / 1e9,
        "hold_s": args.hold,
        "heartbeats_answered": app.pings,
        "generator_busy_pct": report::r3(marks.busy_ns as f64 / (up.at - begin.at) as f64 * 100.0),
    });
    if watch.server.is_some() {
        let more = marks.rss_idle as f64 - begin.rss as f64;
        let idle_cpu = end.server.since(&up.server).total() as f64;
        result["server_rss_per_connection_kib"] =
            json!(report::r3(more / 1024.0 / app.ready.max(1) as f64));
        result["server_idle_cpu_pct"] = json!(report::r3(
            idle_cpu / (end.at - up.at).max(1) as f64 * 100.0
        ));
    }
    result
}
