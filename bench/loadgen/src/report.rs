//! Owns percentiles and what a person reads of a result. It refuses to know how it was measured.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Latencies in ns, 3 significant digits, up to 10 minutes.
pub struct Hist(Histogram<u64>);

pub fn hist() -> Hist {
    Hist(Histogram::new_with_bounds(100, 600_000_000_000, 3).unwrap())
}

impl Hist {
    #[inline]
    pub fn add(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }
}

pub fn percentiles(h: &Hist) -> Value {
    let h = &h.0;
    if h.is_empty() {
        return json!({"count": 0});
    }
    let ms = |q: f64| r3(h.value_at_quantile(q) as f64 / 1e6);
    json!({"count": h.len(), "mean": r3(h.mean() / 1e6), "p50": ms(0.5), "p90": ms(0.9), "p99": ms(0.99), "p999": ms(0.999), "max": r3(h.max() as f64 / 1e6)})
}

pub fn r3(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

fn num(v: &Value) -> String {
    match v {
        Value::Number(n) => {
            let f = n.as_f64().unwrap();
            if n.is_u64() {
                group(n.as_u64().unwrap())
            } else if f.abs() >= 1000.0 {
                group(f.round() as u64)
            } else if f.abs() >= 10.0 {
                format!("{f:.1}")
            } else {
                format!("{f:.3}")
            }
        }
        Value::Null => "-".into(),
        Value::String(s) => s.clone(),
        v => v.to_string(),
    }
}

fn group(n: u64) -> String {
    let s = n.to_string();
    let mut o = String::new();
    for (i, ch) in s.chars().enumerate() {
        if i > 0 && (s.len() - i).is_multiple_of(3) {
            o.push(',');
        }
        o.push(ch);
    }
    o
}

pub fn print(v: &Value) {
    let line = |k: &str, val: String| println!("  {k:<34} {val}");
    println!(
        "== {} {}",
        v["scenario"].as_str().unwrap_or(""),
        v["label"].as_str().unwrap_or("")
    );
    if let Some(p) = v["params"].as_object() {
        let s: Vec<String> = p
            .iter()
            .filter(|(_, x)| !x.is_null() && **x != Value::Bool(false))
            .map(|(k, x)| format!("{k}={}", num(x)))
            .collect();
        line("parameters", s.join(" "));
    }
    for (k, x) in v["result"].as_object().into_iter().flatten() {
        match x {
            Value::Object(o) if o.contains_key("count") => {
                let s: Vec<String> = ["p50", "p90", "p99", "p999", "max"]
                    .iter()
                    .filter_map(|q| o.get(*q).map(|x| format!("{q}={}", num(x))))
                    .collect();
                line(k, format!("{}  (n={})", s.join("  "), num(&o["count"])));
            }
            Value::Array(a) => line(k, a.iter().map(num).collect::<Vec<_>>().join(" ")),
            x if k.ends_with("_bytes") => line(
                &k.replace("_bytes", "_MiB"),
                format!("{:.1}", x.as_f64().unwrap_or(0.0) / 1048576.0),
            ),
            x => line(k, num(x)),
        }
    }
    let r = &v["resources"];
    let group = |name: &str, g: &Value| {
        if g.is_object() {
            let mut s = format!(
                "{:.1}% of one core (user {:.2} s, sys {:.2} s)",
                g["cpu_pct"].as_f64().unwrap_or(0.0),
                g["cpu_user_s"].as_f64().unwrap_or(0.0),
                g["cpu_sys_s"].as_f64().unwrap_or(0.0)
            );
            for (k, n) in [
                ("cpu_us_per_delivery", "us/delivery"),
                ("cpu_us_per_ack", "us/ack"),
                ("cpu_us_per_connection", "us/connection"),
            ] {
                if g[k].is_number() {
                    s += &format!("  {} {n}", num(&g[k]));
                }
            }
            if let Some(w) = g["run_wait_pct"].as_f64() {
                s += &format!("  waited for a CPU {w:.1}%");
            }
            line(&format!("CPU {name}"), s);
        }
    };
    group("server", &r["server"]);
    for (k, g) in r["also"].as_object().into_iter().flatten() {
        group(k, g);
    }
    group("generator", &r["generator"]);
    if r.is_object() {
        line(
            "other CPU / steal",
            format!(
                "{:.1}% / {:.1}% of one core over {:.2} s",
                r["other_cpu_pct"].as_f64().unwrap_or(0.0),
                r["steal_pct"].as_f64().unwrap_or(0.0),
                r["window_s"].as_f64().unwrap_or(0.0)
            ),
        );
    }
    if r["server"].is_object() {
        let mib = |k: &str| r["server"][k].as_f64().unwrap_or(0.0) / 1048576.0;
        line(
            "server RSS MiB start/end/peak",
            format!(
                "{:.1} / {:.1} / {:.1}, {} threads",
                mib("rss_start_bytes"),
                mib("rss_end_bytes"),
                mib("rss_peak_bytes"),
                num(&r["server"]["threads"])
            ),
        );
    }
    if let Some(o) = v["verify"].as_object() {
        let bad: Vec<String> = o
            .iter()
            .filter(|(k, x)| {
                !matches!(
                    k.as_str(),
                    "ok" | "sent"
                        | "acked"
                        | "delivered_unique"
                        | "expected_deliveries"
                        | "other_events"
                        | "errors"
                        | "ready"
                        | "alive_at_end"
                        | "answers"
                ) && x.as_u64().unwrap_or(0) > 0
            })
            .map(|(k, x)| format!("{k}={}", num(x)))
            .collect();
        let y = &v["verify"];
        let what = if o.contains_key("acked") {
            format!(
                "{} acked, {} of {} deliveries",
                num(&y["acked"]),
                num(&y["delivered_unique"]),
                num(&y["expected_deliveries"])
            )
        } else if o.contains_key("answers") {
            format!("{} answers", num(&y["answers"]))
        } else {
            format!("{} connected", num(&y["ready"]))
        };
        let word = if y["ok"] == Value::Bool(true) {
            "OK"
        } else {
            "FAILED"
        };
        line(
            "verification",
            format!(
                "{word}: {what}{}{}",
                if bad.is_empty() { "" } else { "; " },
                bad.join(" ")
            ),
        );
        for (e, n) in o["errors"].as_object().into_iter().flatten() {
            line("  error", format!("{} x {e}", num(n)));
        }
    }
    // the generator must not be what is measured
    let used = if v["params"]["wait"] == "spin" {
        &v["result"]["generator_busy_pct"]
    } else {
        &r["generator"]["cpu_pct"]
    };
    if let (Some(g), Some(s)) = (used.as_f64(), r["server"]["cpu_pct"].as_f64())
        && g > 85.0
    {
        println!(
            "  WARNING: the generator used {g:.0}% of a core (server {s:.0}%): the figures may be the generator's ceiling"
        );
    }
    for w in v["warnings"].as_array().into_iter().flatten() {
        println!("  WARNING: {}", w.as_str().unwrap_or(""));
    }
}
