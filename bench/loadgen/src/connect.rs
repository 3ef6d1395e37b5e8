//! Owns the scenario connect: how fast connections come up, and what an idle one costs. It refuses to send a message.

use crate::client::{Common, Errors, Target, Vars, step};
use crate::net::{App, Net, State, now};
use crate::report::{self, Hist, hist};
use crate::run::Outcome;
use crate::sio::{self, Pkt};
use clap::Args;
use serde_json::json;

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
            return net.close(c, self, "a frame that nobody asked for");
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

pub fn run(common: &Common, args: &ConnectArgs) -> Outcome {
    let &ConnectArgs {
        count,
        hold,
        create_user,
    } = args;
    let (target, mut watch, mut net) = common.open()?;
    crate::sys::may_open(count)?;
    let vars = (0..count)
        .map(|i| Vars {
            i,
            member: i,
            uid: target.uid(0, i),
            ..Default::default()
        })
        .collect();
    let mut app = Conns {
        target,
        total: count,
        concurrency: common.concurrency,
        create_user,
        vars,
        t0: Vec::with_capacity(count),
        up: Vec::with_capacity(count),
        ready: 0,
        failed: 0,
        lost: 0,
        lat: hist(),
        last_ready: 0,
        errors: Errors::default(),
        pings: 0,
    };
    let a = watch.sample();
    let begin = now();
    while app.ready + app.failed < count {
        app.pump(&mut net)?;
        let t = now();
        watch.tick(t);
        if t - begin > common.setup_timeout * 1_000_000_000 {
            app.errors.add("setup timeout");
            break;
        }
        net.poll(&mut app, Some(100_000_000))
            .map_err(|e| e.to_string())?;
    }
    let b = watch.sample();
    let busy_ramp = net.busy_ns;
    let ramp_ns = app.last_ready.saturating_sub(begin).max(1);
    // idle: only heartbeats
    let until = now() + (hold * 1e9) as u64;
    let mut tail: Vec<u64> = Vec::new();
    loop {
        let t = now();
        if t >= until {
            break;
        }
        watch.tick(t);
        if until - t < 1_000_000_000 {
            tail.push(watch.server.as_ref().map_or(0, |g| g.rss()));
        }
        net.poll(&mut app, Some((until - t).min(100_000_000)))
            .map_err(|e| e.to_string())?;
    }
    let c = watch.sample();
    tail.push(c.rss);
    tail.sort_unstable();
    let rss_idle = tail[tail.len() / 2];
    let alive = net.conns.iter().filter(|c| c.state == State::Open).count();
    let ok = app.ready == count && app.lost == 0 && app.failed == 0 && alive == count;
    let mut res = watch.report(&a, &b, 0, 0);
    let n = app.ready.max(1) as f64;
    let us = |d: u64| report::r3(d as f64 / 1000.0 / n);
    if res["server"].is_object() {
        res["server"]["cpu_us_per_connection"] = json!(us(b.server.since(&a.server).total()));
        res["server"]["rss_end_bytes"] = json!(rss_idle);
        res["server"]["rss_peak_bytes"] = json!(watch.rss_peak);
    }
    res["generator"]["cpu_us_per_connection"] = json!(us(b.own.since(&a.own).total()));
    let idle_cpu = c.server.since(&b.server).total() as f64 / (c.at - b.at).max(1) as f64 * 100.0;
    let mut result = json!({
        "connections_per_s": app.ready as f64 * 1e9 / ramp_ns as f64,
        "connect_latency_ms": report::percentiles(&app.lat),
        "ramp_s": ramp_ns as f64 / 1e9,
        "hold_s": hold,
        "heartbeats_answered": app.pings,
        "generator_busy_pct": report::r3(busy_ramp as f64 / (b.at - a.at) as f64 * 100.0),
    });
    if watch.server.is_some() {
        result["server_rss_per_connection_kib"] =
            json!(report::r3((rss_idle as f64 - a.rss as f64) / 1024.0 / n));
        result["server_idle_cpu_pct"] = json!(report::r3(idle_cpu));
    }
    for i in 0..app.t0.len() {
        net.say_bye(i);
    }
    net.flush_dirty(&mut app);
    Ok((
        json!({
            "scenario": "connect", "dialect": common.dialect.name(), "label": common.run.label,
            "params": {"count": count, "concurrency": common.concurrency, "wait": common.wait.to_string(), "create_user": create_user},
            "result": result,
            "verify": {"ok": ok, "ready": app.ready, "failed": app.failed, "lost": app.lost, "alive_at_end": alive, "errors": app.errors.map},
            "resources": res,
        }),
        ok,
    ))
}
