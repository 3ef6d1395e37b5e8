//! What a client sends cannot forge a log line: the real subscriber, over a writer that keeps
//! what is written.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tracing::{info, info_span};

use super::*;

/// Every kind of character that is escaped, and some that are not.
const HOSTILE: &str = "x\n2026-11-26T00:00:00Z ERROR polychat: FAKED\r\t\u{1b}[31m\u{7}\u{0}\u{7f}\u{85}\u{9b}31m\
                       \u{202e}\u{2066}\u{2028}\u{2029}\u{200f}\u{61c}\u{feff}\u{e0041} é 😀 \"\\";

/// How it ends, unchanged.
const HARMLESS: &str = " é 😀 \"\\";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text that is written while `log` runs.
fn written(format: LogFormat, is_terminal: bool, log: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let lines = lines(
        format,
        "info".parse().expect("a level"),
        is_terminal,
        move || writer.clone(),
    );
    dispatcher::with_default(&lines, log);
    let bytes = written.0.lock().clone();
    String::from_utf8(bytes).expect("a text")
}

#[derive(Debug, thiserror::Error)]
#[error("outer {HOSTILE}")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("inner {HOSTILE}")]
struct Inner;

/// Prints itself as it is, in `{:?}`, too.
struct Raw;

impl std::fmt::Debug for Raw {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(HOSTILE)
    }
}

/// One event for each way into a line.
fn log_hostile_values() {
    info!("message {HOSTILE}");
    info!(display = %HOSTILE, debug = ?HOSTILE, raw = ?Raw, text = HOSTILE, "fields");
    let error: &(dyn std::error::Error + 'static) = &Outer(Inner);
    info!(error, "an error");
    let span = info_span!("span", inside = %HOSTILE, later = tracing::field::Empty);
    span.record("later", HOSTILE);
    span.in_scope(|| info!("in a span"));
}

fn is_dangerous(character: char) -> bool {
    character.is_control()
        || "\u{202e}\u{2066}\u{2028}\u{2029}\u{200f}\u{61c}\u{feff}\u{e0041}".contains(character)
}

#[test]
fn no_value_begins_a_line_of_the_text_or_moves_the_cursor() {
    let text = written(LogFormat::Text, false, log_hostile_values);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for line in &lines {
        assert!(!line.contains(is_dangerous), "{line:?}");
        assert!(line.contains(r"x\n2026-11-26T00:00:00Z ERROR polychat: FAKED\r\t\u{1b}[31m"));
        assert!(line.contains(" INFO "));
    }
    assert!(lines[0].contains(&format!(r"\u{{202e}}\u{{2066}}\u{{2028}}\u{{2029}}\u{{200f}}\u{{61c}}\u{{feff}}\u{{e0041}}{HARMLESS}")));
    assert!(
        lines[1].contains("fields display=x") && lines[1].contains(" text=\"x"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].contains("an error error=outer x") && lines[2].contains(" error.sources=[inner x"),
        "{}",
        lines[2]
    );
    assert!(
        lines[3].contains("span{inside=x") && lines[3].contains(" later=\"x"),
        "{}",
        lines[3]
    );
}

#[test]
fn on_a_terminal_only_the_colours_of_the_log_itself_are_left() {
    let text = written(LogFormat::Text, true, log_hostile_values);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(
        text.contains("\u{1b}[3mdisplay\u{1b}[0m\u{1b}[2m=\u{1b}[0mx"),
        "{text:?}"
    );
    assert!(text.contains("\u{1b}[32m INFO\u{1b}[0m"), "{text:?}");
    for colour in [
        "\u{1b}[0m",
        "\u{1b}[1m",
        "\u{1b}[2m",
        "\u{1b}[3m",
        "\u{1b}[32m",
    ] {
        assert!(text.contains(colour), "{colour:?}");
    }
    let mut plain = text;
    for colour in [
        "\u{1b}[0m",
        "\u{1b}[1m",
        "\u{1b}[2m",
        "\u{1b}[3m",
        "\u{1b}[32m",
    ] {
        plain = plain.replace(colour, "");
    }
    for line in plain.lines() {
        assert!(!line.contains(is_dangerous), "{line:?}");
    }
}

#[test]
fn json_stays_json_in_one_line_with_the_same_characters_escaped() {
    let text = written(LogFormat::Json, false, log_hostile_values);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let objects = lines.iter().map(|line| {
        assert!(!line.contains(is_dangerous), "{line:?}");
        serde_json::from_str::<Value>(line).expect("JSON")
    });
    let objects: Vec<_> = objects.collect();
    assert_eq!(objects[0]["message"], format!("message {HOSTILE}"));
    assert_eq!(objects[1]["display"], HOSTILE);
    assert_eq!(objects[1]["text"], HOSTILE);
    assert_eq!(objects[2]["error"], format!("outer {HOSTILE}"));
    assert_eq!(objects[3]["span"]["inside"], HOSTILE);
}

#[test]
fn a_panic_is_one_line_too() {
    let text = written(LogFormat::Text, false, || {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let caught = std::panic::catch_unwind(|| panic!("{HOSTILE}"));
        std::panic::set_hook(before);
        assert!(caught.is_err());
    });
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(
        lines[0].contains("ERROR") && lines[0].contains("panicked at src/telemetry/log_tests.rs:")
    );
    assert!(
        lines[0].contains(r"x\n2026") && !lines[0].contains(is_dangerous),
        "{text:?}"
    );
}

#[test]
fn a_level_is_taken_in_any_case_and_for_parts() {
    let level = |text: &str| text.parse::<LogLevel>().expect("a level").0;
    for (text, expected) in [
        ("warn", LevelFilter::WARN),
        ("WARN", LevelFilter::WARN),
        ("Info", LevelFilter::INFO),
        ("off", LevelFilter::OFF),
        (" debug\n", LevelFilter::DEBUG),
        ("", LevelFilter::INFO),
    ] {
        assert_eq!(level(text), Targets::new().with_default(expected), "{text}");
    }
    let hub = Targets::new().with_default(LevelFilter::INFO);
    let hub = hub.with_target("polychat::hub", LevelFilter::DEBUG);
    assert_eq!(level("info,polychat::hub=debug"), hub);
    let all = Targets::new().with_target("polychat::hub", LevelFilter::TRACE);
    assert_eq!(level("polychat::hub"), all);
}

#[test]
fn a_word_that_is_no_level_is_refused_with_the_levels() {
    for (text, wrong) in [
        ("warning", "warning"),
        ("WARNING", "WARNING"),
        ("inf0", "inf0"),
        ("info,polychat=lod", "polychat=lod"),
        ("info,", ""),
        ("polychat=", "polychat="),
        ("info;polychat=warning", "info;polychat=warning"),
    ] {
        let why = text.parse::<LogLevel>().expect_err(text);
        let expected = format!("\"{wrong}\" is no level; write error, warn, info, debug, trace");
        assert!(why.starts_with(&expected), "{why}");
    }
}
