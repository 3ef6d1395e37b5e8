//! Owns percentiles and the printed form of a result. Does not measure.

use crate::num::whole;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Latencies in ns, 3 significant digits, up to 10 minutes.
pub struct Hist(Histogram<u64>);

pub fn hist() -> Hist {
    Hist(Histogram::new_with_bounds(100, 600_000_000_000, 3).expect("bounds that are in order"))
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
        Value::Number(n) => match (n.as_u64(), n.as_f64().unwrap_or(f64::NAN)) {
            (Some(n), _) => group(n),
            (None, f) if f.abs() >= 1000.0 => group(whole(f.round())),
            (None, f) if f.abs() >= 10.0 => format!("{f:.1}"),
            (None, f) => format!("{f:.3}"),
        },
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

fn line(key: &str, value: impl std::fmt::Display) {
    println!("  {key:<34} {value}");
}

fn float(v: &Value) -> f64 {
    v.as_f64().unwrap_or(0.0)
}

fn mib(v: &Value) -> f64 {
    float(v) / 1_048_576.0
}

fn entries(v: &Value) -> impl Iterator<Item = (&String, &Value)> {
    v.as_object().into_iter().flatten()
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

pub fn print(v: &Value) {
    println!(
        "== {} {}",
        v["scenario"].as_str().unwrap_or(""),
        v["label"].as_str().unwrap_or("")
    );
    if v["params"].is_object() {
        let shown =
            entries(&v["params"]).filter(|(_, x)| !x.is_null() && **x != Value::Bool(false));
        let shown = shown.map(|(k, x)| format!("{k}={}", num(x)));
        line("parameters", joined(shown, " "));
    }
    for (k, x) in entries(&v["result"]) {
        print_figure(k, x);
    }
    print_resources(&v["resources"]);
    print_verification(&v["verify"]);
    warn_of_ceiling(v);
    for w in v["warnings"].as_array().into_iter().flatten() {
        println!("  WARNING: {}", w.as_str().unwrap_or(""));
    }
}

fn print_figure(k: &str, x: &Value) {
    match x {
        Value::Object(o) if o.contains_key("count") => {
            let shown = ["p50", "p90", "p99", "p999", "max"].into_iter();
            let shown = shown.filter_map(|q| o.get(q).map(|x| format!("{q}={}", num(x))));
            let count = num(&x["count"]);
            line(k, format!("{}  (n={count})", joined(shown, "  ")));
        }
        Value::Array(a) => line(k, joined(a.iter().map(num), " ")),
        x if k.ends_with("_bytes") => {
            line(&k.replace("_bytes", "_MiB"), format!("{:.1}", mib(x)));
        }
        x => line(k, num(x)),
    }
}

fn print_resources(r: &Value) {
    print_cpu("server", &r["server"]);
    for (k, g) in entries(&r["also"]) {
        print_cpu(k, g);
    }
    print_cpu("generator", &r["generator"]);
    if r.is_object() {
        let [other, steal, window] =
            ["other_cpu_pct", "steal_pct", "window_s"].map(|k| float(&r[k]));
        line(
            "other CPU / steal",
            format!("{other:.1}% / {steal:.1}% of one core over {window:.2} s"),
        );
    }
    let server = &r["server"];
    if server.is_object() {
        let [start, end, peak] =
            ["rss_start_bytes", "rss_end_bytes", "rss_peak_bytes"].map(|k| mib(&server[k]));
        let threads = num(&server["threads"]);
        line(
            "server RSS MiB start/end/peak",
            format!("{start:.1} / {end:.1} / {peak:.1}, {threads} threads"),
        );
    }
}

fn print_cpu(name: &str, g: &Value) {
    if !g.is_object() {
        return;
    }
    let [share, user, sys] = ["cpu_pct", "cpu_user_s", "cpu_sys_s"].map(|k| float(&g[k]));
    let mut parts = vec![format!(
        "{share:.1}% of one core (user {user:.2} s, sys {sys:.2} s)"
    )];
    for (k, n) in [
        ("cpu_us_per_delivery", "us/delivery"),
        ("cpu_us_per_ack", "us/ack"),
        ("cpu_us_per_connection", "us/connection"),
    ] {
        if g[k].is_number() {
            parts.push(format!("{} {n}", num(&g[k])));
        }
    }
    if let Some(w) = g["run_wait_pct"].as_f64() {
        parts.push(format!("waited for a CPU {w:.1}%"));
    }
    line(&format!("CPU {name}"), parts.join("  "));
}

/// Fields of a verification that do not count faults.
const NO_FAULTS: [&str; 10] = [
    "ok",
    "sent",
    "acked",
    "delivered_unique",
    "expected_deliveries",
    "other_events",
    "errors",
    "ready",
    "alive_at_end",
    "answers",
];

fn print_verification(y: &Value) {
    if !y.is_object() {
        return;
    }
    let what = if y["acked"].is_number() {
        format!(
            "{} acked, {} of {} deliveries",
            num(&y["acked"]),
            num(&y["delivered_unique"]),
            num(&y["expected_deliveries"])
        )
    } else if y["answers"].is_number() {
        format!("{} answers", num(&y["answers"]))
    } else {
        format!("{} connected", num(&y["ready"]))
    };
    let word = if y["ok"] == Value::Bool(true) {
        "OK"
    } else {
        "FAILED"
    };
    let bad = entries(y)
        .filter(|(k, x)| !NO_FAULTS.contains(&k.as_str()) && x.as_u64().unwrap_or(0) > 0)
        .map(|(k, x)| format!("{k}={}", num(x)));
    let bad = joined(bad, " ");
    let between = if bad.is_empty() { "" } else { "; " };
    line("verification", format!("{word}: {what}{between}{bad}"));
    for (e, n) in entries(&y["errors"]) {
        line("  error", format!("{} x {e}", num(n)));
    }
}

/// The generator must not be what is measured.
fn warn_of_ceiling(v: &Value) {
    let used = if v["params"]["wait"] == "spin" {
        &v["result"]["generator_busy_pct"]
    } else {
        &v["resources"]["generator"]["cpu_pct"]
    };
    let server = &v["resources"]["server"]["cpu_pct"];
    if let (Some(g), Some(s)) = (used.as_f64(), server.as_f64())
        && g > 85.0
    {
        println!(
            "  WARNING: the generator used {g:.0}% of a core (server {s:.0}%): the figures may be the generator's ceiling"
        );
    }
}
