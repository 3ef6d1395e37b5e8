//! Owns the course of reconnect: clients are disconnected while others send, reconnect all at once, and catch up. Does
//! not know how a client catches up: `returning` does.

use crate::client::Common;
use crate::net::{Net, Wait, now};
use crate::num::{ns, whole};
use crate::report::{self, hist};
use crate::returning::Crowd;
use crate::rooms;
use crate::run::Outcome;
use crate::sys::{Sample, Watch};
use clap::Args;
use serde_json::{Value, json};

#[derive(Args, Clone, Debug)]
pub struct ReconnectArgs {
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Clients per room that are cut off; the sender is one more member, and is not
    #[arg(long, default_value_t = 50)]
    pub clients: usize,
    /// Messages per second, over all rooms, all the time
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// Seconds between the cut and the return
    #[arg(long, default_value_t = 2.0)]
    pub away: f64,
    /// How often they are cut off
    #[arg(long, default_value_t = 5)]
    pub cuts: usize,
    /// Seconds before the first cut, and after each return
    #[arg(long, default_value_t = 1.0)]
    pub rest: f64,
    /// Length of the message text in bytes (at least 50)
    #[arg(long, default_value_t = 128)]
    pub msg_bytes: usize,
    /// A return that takes longer has failed, seconds
    #[arg(long, default_value_t = 20.0)]
    pub patience: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// The clients connect for the first time, a few at once.
    Connect,
    Rest(u64),
    Away(u64),
    Back,
    Drain(u64),
    Grace(u64),
    Done,
}

/// One return of all clients.
struct Return {
    began: Sample,
    /// From the first reconnect until the last client had caught up.
    last_ns: u64,
    cpu_ns: u64,
}

struct Course<'a> {
    common: &'a Common,
    reconnect: &'a ReconnectArgs,
    crowd: Crowd,
    net: Net,
    watch: Watch,
    phase: Phase,
    since: u64,
    began: Option<Sample>,
    returns: Vec<Return>,
    next_due: f64,
}

pub fn run(common: &Common, reconnect: &ReconnectArgs) -> Outcome {
    let (target, watch, mut net) = common.open()?;
    crate::sys::may_open(reconnect.rooms * (reconnect.clients + 1))?;
    let mut plan = rooms::unmade(&target, reconnect.rooms, reconnect.clients + 1);
    rooms::make(&target, &mut plan, common.dialect, common.setup_timeout)?;
    if net.wait == Wait::Spin {
        net.wait = Wait::Nap(100_000);
    }
    let course = Course {
        common,
        reconnect,
        crowd: Crowd::new(target, plan, reconnect.msg_bytes),
        net,
        watch,
        phase: Phase::Connect,
        since: now(),
        began: None,
        returns: Vec::new(),
        next_due: 0.0,
    };
    course.run()
}

impl Course<'_> {
    fn run(mut self) -> Outcome {
        while self.phase != Phase::Done {
            let t = now();
            self.watch.tick(t);
            let mut wake = self.advance(t);
            if !matches!(
                self.phase,
                Phase::Connect | Phase::Drain(_) | Phase::Grace(_) | Phase::Done
            ) {
                wake = wake.min(self.keep_sending());
            }
            if let Some(fatal) = self.crowd.fatal.take() {
                return Err(fatal);
            }
            let polled = self
                .net
                .poll(&mut self.crowd, Some(wake.saturating_sub(now())));
            polled.map_err(|e| e.to_string())?;
        }
        Ok(self.finish())
    }

    /// Runs the steps that are due; returns when to call it again at the latest.
    fn advance(&mut self, t: u64) -> u64 {
        let soon = t + 100_000_000;
        match self.phase {
            Phase::Connect => {
                self.crowd.come(&mut self.net, self.common.concurrency);
                if self.crowd.all_there() {
                    self.next_due = t as f64;
                    self.phase = Phase::Rest(t + ns(self.reconnect.rest));
                } else if t - self.since > self.common.setup_timeout * 1_000_000_000 {
                    self.crowd.fatal = Some("the clients took too long to connect".into());
                }
            }
            Phase::Rest(until) | Phase::Away(until) if t < until => return soon.min(until),
            Phase::Rest(_) if self.returns.len() == self.reconnect.cuts => {
                self.phase = Phase::Drain(t + ns(self.reconnect.patience));
            }
            Phase::Rest(_) => {
                self.crowd.cut(&mut self.net);
                self.phase = Phase::Away(t + ns(self.reconnect.away));
            }
            Phase::Away(_) => {
                self.began = Some(self.watch.sample());
                self.since = now();
                self.crowd.call_back(self.since);
                self.crowd.come(&mut self.net, usize::MAX);
                self.phase = Phase::Back;
            }
            Phase::Back => self.watch_return(t),
            Phase::Drain(deadline) => {
                if self.crowd.is_drained() || t >= deadline {
                    self.phase = Phase::Grace(t + 300_000_000);
                }
                return t + 10_000_000;
            }
            Phase::Grace(until) if t < until => return until,
            Phase::Grace(_) => self.phase = Phase::Done,
            Phase::Done => {}
        }
        soon
    }

    fn watch_return(&mut self, t: u64) {
        if self.crowd.all_there() {
            let end = self.watch.sample();
            if let Some(began) = self.began.take() {
                self.returns.push(Return {
                    last_ns: self.crowd.last_there - self.since,
                    cpu_ns: end.server.since(&began.server).total(),
                    began,
                });
            }
            self.phase = Phase::Rest(t + ns(self.reconnect.rest));
        } else if t - self.since > ns(self.reconnect.patience) {
            self.crowd.fatal = Some(format!(
                "a return took longer than {} s: {}",
                self.reconnect.patience,
                self.crowd.missing()
            ));
        }
    }

    /// Sends what is due; answers the time of the next one.
    fn keep_sending(&mut self) -> u64 {
        loop {
            let t = now();
            if whole(self.next_due) > t {
                return whole(self.next_due);
            }
            self.crowd.send_next(&mut self.net, t);
            self.next_due += 1e9 / self.reconnect.rate;
        }
    }

    fn finish(mut self) -> (Value, bool) {
        let end = self.watch.sample();
        let clients = self.crowd.clients();
        let (verify, ok) = self.crowd.verify();
        let all_ns: u64 = self.returns.iter().map(|each| each.last_ns).sum();
        let cpu_ns: u64 = self.returns.iter().map(|each| each.cpu_ns).sum();
        let returned = (self.returns.len() * clients).max(1) as f64;
        let mut last = hist();
        for each in &self.returns {
            last.add(each.last_ns);
        }
        let mut resources = match self.returns.first() {
            Some(first) => self.watch.report(&first.began, &end, 0, 0),
            None => json!({}),
        };
        if resources["server"].is_object() {
            resources["server"]["cpu_us_per_client"] =
                json!(report::r3(cpu_ns as f64 / 1000.0 / returned));
        }
        let each: Vec<f64> = self
            .returns
            .iter()
            .map(|each| report::r3(each.last_ns as f64 / 1e6))
            .collect();
        let result = json!({
            "caught_up_per_s": report::r3(returned * 1e9 / all_ns.max(1) as f64),
            "last_caught_up_ms": report::percentiles(&last),
            "caught_up_ms": report::percentiles(&self.crowd.caught_up),
            "last_caught_up_series_ms": each,
            "missed_per_client": report::r3(self.crowd.missed as f64 / returned),
            "clients": clients,
        });
        let reconnect = self.reconnect;
        let params = json!({
            "rooms": reconnect.rooms, "clients": reconnect.clients, "rate": reconnect.rate, "away_s": reconnect.away,
            "cuts": reconnect.cuts, "msg_bytes": reconnect.msg_bytes, "wait": self.net.wait.to_string(),
        });
        let result = json!({
            "scenario": "reconnect", "dialect": self.common.dialect.name(), "label": self.common.run.label, "params": params,
            "result": result, "verify": verify, "resources": resources,
        });
        (result, ok)
    }
}
