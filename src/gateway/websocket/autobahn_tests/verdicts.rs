//! Runs Autobahn's cases, as a program in Python, and holds each verdict to the one expected. With
//! AUTOBAHN set all cases run, and on Node's servers, too.
//! Does not know the parts of the server under test.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use tokio::task::spawn_blocking;

/// How many cases there are: kosoku 0.1.0 has all of Autobahn's.
const ALL: usize = 517;

/// Those that only `make autobahn` runs, and how many they are: messages of megabytes and by the
/// thousand, and compression.
const LONG: ([&str; 3], usize) = (["9.*", "12.*", "13.*"], 270);

/// The subjects of the sections.
const SECTIONS: [(&str, &str); 11] = [
    ("1", "framing"),
    ("2", "pings and pongs"),
    ("3", "reserved bits"),
    ("4", "opcodes"),
    ("5", "fragmentation"),
    ("6", "UTF-8"),
    ("7", "closing"),
    ("9", "sizes and speed"),
    ("10", "automatic fragments"),
    ("12", "compression"),
    ("13", "compression, parameters"),
];

/// Cases that do not end with `OK`, and why that is right. A name that ends with a dot means
/// all that begin so.
const EXCEPTIONS: [Exception; 5] = [
    Exception {
        cases: "6.4.",
        behavior: Behavior::NonStrict,
        why: "a text is checked once all of it is there: nothing is kept between frames for that",
    },
    Exception {
        cases: "7.1.6",
        behavior: Behavior::Informational,
        why: "Autobahn leaves open what becomes of a message right before a close frame",
    },
    Exception {
        cases: "7.13.",
        behavior: Behavior::Informational,
        why: "RFC 6455 does not define close codes from 5000 on",
    },
    Exception {
        cases: "12.",
        behavior: Behavior::Unimplemented,
        why: "permessage-deflate is not offered: docs/TRANSPORTS.md, WebSockets",
    },
    Exception {
        cases: "13.",
        behavior: Behavior::Unimplemented,
        why: "permessage-deflate is not offered: docs/TRANSPORTS.md, WebSockets",
    },
];

/// Cases in which Node's servers differ from polychat.
const NODES: [(Framing, &[&str]); 2] = [
    // `ws` takes at most 16,384 fragments.
    (Framing::Plain, &["9.3.1", "9.4.1"]),
    // Here the text with its `4` has one more.
    (Framing::EngineIo, &["9.3.1", "9.3.2", "9.4.1"]),
];

/// The layer between a case and the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nothing.
    Plain,
    /// Engine.IO 4.
    EngineIo,
}

impl Framing {
    /// As the program knows it.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::EngineIo => "engineio",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Plain => "/ws/chats/",
            Self::EngineIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Behavior {
    Ok,
    #[serde(rename = "NON-STRICT")]
    NonStrict,
    Informational,
    Unimplemented,
    Failed,
    Error,
}

struct Exception {
    cases: &'static str,
    behavior: Behavior,
    why: &'static str,
}

impl Exception {
    fn covers(&self, case: &str) -> bool {
        case == self.cases || (self.cases.ends_with('.') && case.starts_with(self.cases))
    }
}

/// Autobahn's verdict of one case.
#[derive(Debug, Deserialize)]
struct Verdict {
    case: String,
    behavior: Behavior,
    /// How the connection ended.
    close: String,
    why: String,
}

impl Verdict {
    fn has_failed(&self) -> bool {
        let ended = ["OK", "INFORMATIONAL"].contains(&&*self.close);
        !ended || matches!(self.behavior, Behavior::Failed | Behavior::Error)
    }

    fn is_expected(&self) -> bool {
        let exception = EXCEPTIONS.iter().find(|it| it.covers(&self.case));
        let expected = exception.map_or(Behavior::Ok, |it| it.behavior);
        !self.has_failed() && self.behavior == expected
    }
}

impl Display for Verdict {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            case,
            behavior,
            close,
            why,
        } = self;
        write!(formatter, "{case}: {behavior:?}, closing {close}: {why}")
    }
}

/// Runs the cases on the server at this address.
///
/// # Panics
/// A case does not end as expected.
pub(super) async fn check(framing: Framing, address: SocketAddr) {
    let whole = std::env::var_os("AUTOBAHN").is_some();
    let left_out: &[&str] = if whole { &[] } else { &LONG.0 };
    let verdicts = run(framing, address, left_out).await;
    let count = if whole { ALL } else { ALL - LONG.1 };
    assert_eq!(verdicts.len(), count, "not all cases ran");
    let wrong = verdicts.iter().filter(|it| !it.is_expected());
    let wrong: Vec<_> = wrong.map(Verdict::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    if whole {
        print_table("polychat", framing, &verdicts);
        for Exception {
            cases,
            behavior,
            why,
        } in EXCEPTIONS
        {
            print_line(&format!("{cases}: {behavior:?}: {why}"));
        }
        compare_with_node(framing, &verdicts).await;
    }
}

/// Node's servers have the same verdicts, but for those that are listed.
async fn compare_with_node(framing: Framing, verdicts: &[Verdict]) {
    let oracle = Oracle::start();
    let theirs = run(framing, oracle.address, &[]).await;
    print_table("Node", framing, &theirs);
    let pairs = verdicts.iter().zip(&theirs);
    let differ = pairs.filter(|(ours, theirs)| {
        (ours.behavior, &*ours.close) != (theirs.behavior, &*theirs.close)
    });
    let differ: Vec<_> = differ.map(|(ours, _)| ours.case.as_str()).collect();
    let listed = NODES.iter().find(|(of, _)| *of == framing);
    assert_eq!(Some(&*differ), listed.map(|(_, cases)| *cases));
}

/// Autobahn's verdicts of a server, case by case.
async fn run(framing: Framing, server: SocketAddr, left_out: &[&str]) -> Vec<Verdict> {
    let packages = root().join("target/python");
    assert!(
        packages.join("kosoku").is_dir(),
        "the tests of WebSockets need kosoku, and it is not in {}: run `make python`",
        packages.display()
    );
    let mut program = Command::new("python3");
    program
        .arg(root().join("client-tests/autobahn/run.py"))
        .arg(framing.name())
        .arg(format!("ws://{server}{}", framing.target()))
        .args(left_out)
        .env("PYTHONPATH", packages)
        .stderr(Stdio::inherit());
    let output = spawn_blocking(move || program.output());
    let output = output.await.expect("no panic").expect("python3");
    assert!(output.status.success(), "{}", output.status);
    let lines = str::from_utf8(&output.stdout).expect("a text").lines();
    let verdicts = lines.map(|line| serde_json::from_str(line).expect(line));
    verdicts.collect()
}

/// Node's servers, for as long as this lives.
struct Oracle {
    address: SocketAddr,
    process: Child,
}

impl Oracle {
    fn start() -> Self {
        let mut process = Command::new("node")
            .arg(root().join("client-tests/autobahn/echo.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        let mut port = String::new();
        let output = process.stdout.take().expect("it is piped");
        let read = BufReader::new(output).read_line(&mut port);
        read.expect("a line");
        let port = port.trim().parse();
        let port = port.expect("a port: is client-tests/node_modules there? (`make autobahn`)");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, process }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Prints how many cases of each section ended how, and which have failed.
fn print_table(server: &str, framing: Framing, verdicts: &[Verdict]) {
    let mut sections = BTreeMap::<usize, [usize; 5]>::new();
    for verdict in verdicts {
        let section = verdict.case.split('.').next().unwrap_or_default();
        let place = SECTIONS.iter().position(|(number, _)| *number == section);
        let counts = sections.entry(place.expect("a section")).or_default();
        let column = match verdict.behavior {
            _ if verdict.has_failed() => 4,
            Behavior::NonStrict => 1,
            Behavior::Informational => 2,
            Behavior::Unimplemented => 3,
            _ => 0,
        };
        counts[column] += 1;
    }
    let target = framing.target();
    print_line(&format!("\n{server}, {target}\n"));
    print_line("| section | passed | non-strict | informational | not offered | failed |");
    print_line("|---|--:|--:|--:|--:|--:|");
    for (place, [passed, loose, open, lacking, failed]) in sections {
        let (number, name) = SECTIONS[place];
        print_line(&format!(
            "| {number} {name} | {passed} | {loose} | {open} | {lacking} | {failed} |"
        ));
    }
    for verdict in verdicts.iter().filter(|it| it.has_failed()) {
        print_line(&verdict.to_string());
    }
}

#[expect(clippy::print_stderr, reason = "the whole form is run for its tables")]
fn print_line(line: &str) {
    eprintln!("{line}");
}
