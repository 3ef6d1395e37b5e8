//! Owns the course of chat (closed loop), rate (open loop) and fanout: connecting, warm-up, measured window, drain, and
//! the result. Does not know the dialects.

use crate::args::{Spec, Timing};
use crate::chat::{Chat, Setup};
use crate::client::Common;
use crate::dialect::Dialect;
use crate::net::{Net, now};
use crate::num::{ns, whole};
use crate::report::{self, hist};
use crate::rooms;
use crate::run::Outcome;
use crate::sio;
use crate::sys::{Group, Sample, Watch};
use crate::verify::Own;
use serde_json::{Value, json};

#[derive(PartialEq, Clone, Copy)]
enum Phase {
    Connect,
    Chats,
    Settle(u64),
    Warm(u64),
    Measure(u64),
    Drain(u64),
    Grace(u64),
    Done,
}

/// The samples at an end of the measured window.
struct Mark {
    sample: Sample,
    acked: u64,
    delivered: u64,
    reads: u64,
    busy_ns: u64,
}

struct Flow<'a> {
    spec: &'a Spec,
    timing: &'a Timing,
    common: &'a Common,
    chat: Chat<'a>,
    net: Net,
    watch: Watch,
    phase: Phase,
    setup: Setup,
    began: u64,
    setup_ns: u64,
    rss_before: u64,
    from: Option<Mark>,
    to: Option<Mark>,
    /// Acknowledged messages per second, second by second.
    series: Vec<u64>,
    series_at: (u64, u64),
}

pub fn run(common: &Common, timing: &Timing, spec: &Spec) -> Outcome {
    let (target, watch, net) = common.open()?;
    let (plan, setup) = if timing.setup == "create" {
        let mut plan = rooms::unmade(&target, spec.rooms, spec.members);
        if common.dialect == Dialect::Socketio {
            (plan, Setup::Create)
        } else {
            rooms::make(&target, &mut plan, common.dialect, common.setup_timeout)?;
            (plan, Setup::Exists)
        }
    } else {
        (rooms::read(&timing.setup)?, Setup::Exists)
    };
    if common.dialect.own() == Own::Answered
        && plan.iter().any(|room| room.members.len() <= spec.senders)
    {
        return Err(
            "a room needs a member that only listens: a sender does not receive its own messages"
                .into(),
        );
    }
    let total: usize = plan.iter().map(|room| room.members.len()).sum();
    crate::sys::may_open(total)?;
    let flow = Flow {
        spec,
        timing,
        common,
        chat: Chat::new(spec, timing, target, common.concurrency, setup, plan),
        net,
        phase: Phase::Connect,
        setup,
        began: now(),
        setup_ns: 0,
        rss_before: watch.server.as_ref().map_or(0, Group::rss),
        watch,
        from: None,
        to: None,
        series: Vec::new(),
        series_at: (0, 0),
    };
    flow.run()
}

impl Flow<'_> {
    fn run(mut self) -> Outcome {
        while self.phase != Phase::Done {
            let t = now();
            self.watch.tick(t);
            let wake = self.advance(t);
            if matches!(self.phase, Phase::Connect | Phase::Chats)
                && t - self.began > self.common.setup_timeout * 1_000_000_000
            {
                let late = format!(
                    "setup took longer than {} s: {}/{} ready, {}/{} chats",
                    self.common.setup_timeout,
                    self.chat.ready,
                    self.chat.connections(),
                    self.chat.chats_done,
                    self.chat.rooms.len()
                );
                self.chat.faults.fatal.get_or_insert(late);
            }
            if let Some(fatal) = self.chat.faults.fatal.take() {
                return Err(fatal);
            }
            let wait = wake.saturating_sub(now());
            let polled = self.net.poll(&mut self.chat, Some(wait));
            polled.map_err(|e| e.to_string())?;
        }
        self.finish()
    }

    /// Runs the steps that are due; returns when to call it again at the latest.
    fn advance(&mut self, t: u64) -> u64 {
        let soon = t + 100_000_000;
        match self.phase {
            Phase::Connect => {
                self.chat.pump_connect(&mut self.net);
                if self.chat.ready == self.chat.connections() {
                    self.phase = match self.setup {
                        Setup::Create => Phase::Chats,
                        Setup::Exists => Phase::Settle(t + self.timing.settle_ms * 1_000_000),
                    };
                    return t;
                }
            }
            Phase::Chats => {
                self.chat.pump_chats(&mut self.net);
                if self.chat.chats_done == self.chat.rooms.len() {
                    self.phase = Phase::Settle(t + self.timing.settle_ms * 1_000_000);
                }
            }
            Phase::Settle(until) if t >= until => {
                self.begin_sending(t);
                return t;
            }
            Phase::Warm(until) if t >= until => {
                self.chat.window = t..u64::MAX;
                self.chat.lag = hist();
                self.from = Some(self.mark());
                self.series_at = (t, self.chat.acked);
                self.phase = Phase::Measure(t + ns(self.timing.secs));
                return t;
            }
            Phase::Measure(until) if t >= until => {
                self.chat.window.end = until.min(t);
                self.chat.refill = false;
                self.to = Some(self.mark());
                self.phase = Phase::Drain(t + ns(self.timing.drain));
                return t;
            }
            Phase::Warm(until) | Phase::Measure(until) => {
                return soon.min(self.keep_sending(t, until));
            }
            Phase::Drain(deadline) => {
                let open = self.chat.senders.iter().any(|each| each.in_flight > 0);
                let all = !open && self.chat.unique >= self.chat.expected;
                if all || t >= deadline || self.chat.faults.disconnects > 0 {
                    self.phase = Phase::Grace(t + 300_000_000);
                }
                return t + 10_000_000;
            }
            Phase::Grace(until) if t >= until => self.phase = Phase::Done,
            Phase::Settle(until) | Phase::Grace(until) => return soon.min(until),
            Phase::Done => {}
        }
        soon
    }

    fn begin_sending(&mut self, t: u64) {
        self.setup_ns = t - self.began;
        self.chat.write_templates();
        self.phase = Phase::Warm(t + ns(self.timing.warmup));
        self.chat.next_due = t as f64;
        if self.spec.rate.is_none() {
            self.chat.refill = true;
            for sender in 0..self.chat.senders.len() {
                for _ in 0..self.spec.window {
                    self.chat.send(&mut self.net, sender, now());
                }
            }
        }
    }

    fn keep_sending(&mut self, t: u64, until: u64) -> u64 {
        let mut wake = until;
        if let Some(rate) = self.spec.rate {
            wake = self.chat.pump_rate(&mut self.net, rate, until);
        }
        let (since, acked) = self.series_at;
        if matches!(self.phase, Phase::Measure(_)) && t - since >= 1_000_000_000 {
            let per_second = (self.chat.acked - acked) as f64 * 1e9 / (t - since) as f64;
            self.series.push(whole(per_second));
            self.series_at = (t, self.chat.acked);
        }
        wake
    }

    fn mark(&mut self) -> Mark {
        Mark {
            sample: self.watch.sample(),
            acked: self.chat.acked,
            delivered: self.chat.unique,
            reads: self.net.reads,
            busy_ns: self.net.busy_ns,
        }
    }

    fn finish(mut self) -> Outcome {
        let (from, to) = (self.from.take(), self.to.take());
        let (Some(from), Some(to)) = (from, to) else {
            return Err("there was no measured window".into());
        };
        let (verify, ok) = self.verify();
        let result = self.result(&from, &to);
        let acks = to.acked - from.acked;
        let resources = self.watch.report(
            &from.sample,
            &to.sample,
            acks,
            to.delivered - from.delivered,
        );
        let spec = self.spec;
        let params = json!({
            "rooms": self.chat.rooms.len(), "members": spec.members, "senders_per_room": spec.senders,
            "window": if spec.rate.is_some() { Value::Null } else { json!(spec.window) },
            "wait": self.common.wait.to_string(), "rate": spec.rate, "poisson": spec.poisson,
            "warmup_s": self.timing.warmup, "secs": self.timing.secs, "msg_bytes": self.timing.msg_bytes.max(sio::TAG_LEN),
        });
        for c in 0..self.chat.connections() {
            self.net.send_close(c);
        }
        self.net.flush_dirty(&mut self.chat);
        let result = json!({
            "scenario": spec.scenario, "dialect": self.common.dialect.name(), "label": self.common.run.label, "params": params,
            "result": result, "verify": verify, "resources": resources,
        });
        Ok((result, ok))
    }

    fn result(&self, from: &Mark, to: &Mark) -> Value {
        let window = (to.sample.at - from.sample.at) as f64;
        let acks = (to.acked - from.acked) as f64;
        let deliveries = (to.delivered - from.delivered) as f64;
        let mut result = json!({
            "acked_msgs_per_s": acks * 1e9 / window,
            "deliveries_per_s": deliveries * 1e9 / window,
            "ack_latency_ms": report::percentiles(&self.chat.ack_latency),
            "delivery_latency_ms": report::percentiles(&self.chat.delivery_latency),
            "acks_per_s_series": self.series,
            "setup_s": self.setup_ns as f64 / 1e9,
            "connections": self.chat.connections(),
            "rss_before_bytes": self.rss_before,
            "generator_reads_per_delivery": report::r3((to.reads - from.reads) as f64 / deliveries.max(1.0)),
            "generator_busy_pct": report::r3((to.busy_ns - from.busy_ns) as f64 / window * 100.0),
        });
        if let Some(rate) = self.spec.rate {
            result["target_rate"] = json!(rate);
            result["generator_lag_ms"] = report::percentiles(&self.chat.lag);
        }
        result
    }

    fn verify(&mut self) -> (Value, bool) {
        let end = now();
        let chat = &mut self.chat;
        let rooms = chat.rooms.iter().map(|room| &room.check);
        let found = crate::verify::sum(rooms);
        let (mut unacked, mut unacked_in_window, mut id_mismatch) = (0u64, 0u64, 0u64);
        for sender in &chat.senders {
            id_mismatch += sender.id_mismatches();
            for (ts, acked) in sender.sent_at.iter().zip(&sender.acked_id) {
                if *acked == 0 {
                    unacked += 1;
                    if chat.window.contains(ts) {
                        unacked_in_window += 1;
                        chat.ack_latency.add(end - ts); // at least this long: keeps the tail honest
                    }
                }
            }
        }
        let faults = &chat.faults;
        let ok = found.lost + found.duplicates + found.order_violations == 0
            && faults.stray + faults.unknown + faults.duplicate_acks + id_mismatch == 0
            && faults.refused + faults.disconnects + unacked == 0
            && chat.acked > 0;
        let verify = json!({
            "ok": ok, "sent": chat.sent, "acked": chat.acked, "delivered_unique": chat.unique,
            "expected_deliveries": chat.expected, "lost": found.lost, "acked_never_delivered": found.acked_never_delivered,
            "duplicates": found.duplicates, "order_violations": found.order_violations, "stray": faults.stray,
            "unknown": faults.unknown, "duplicate_acks": faults.duplicate_acks, "id_mismatch": id_mismatch,
            "delivered_unacked": found.delivered_unacked, "unacked": unacked, "unacked_in_window": unacked_in_window,
            "refused": faults.refused, "disconnects": faults.disconnects, "untagged_messages": faults.untagged,
            "other_events": chat.other_events, "errors": faults.errors.map,
        });
        (verify, ok)
    }
}
