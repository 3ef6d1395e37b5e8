//! Owns the command line of the load generator and verifier. It refuses to know how a scenario goes. See ../../README.md.

mod chat;
mod client;
mod connect;
mod dialect;
mod disk;
mod fill;
mod flow;
mod history;
mod lines;
mod missed;
mod mongo;
mod net;
mod reconnect;
mod refserver;
mod report;
mod returning;
mod rooms;
mod sender;
mod sio;
mod stored;
mod sys;
mod verify;

use clap::{Parser, Subcommand};
use client::Common;
use flow::{Spec, Timing};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(version, about = "Load generator and verifier for chat servers")]
// So that run.mjs --loadgen may change what a scenario says.
#[command(args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    cmd: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Open connections as fast as the server takes them, then hold them idle
    Connect {
        #[command(flatten)]
        common: Common,
        /// Connections
        #[arg(long, default_value_t = 5000)]
        count: usize,
        /// Seconds to hold them
        #[arg(long, default_value_t = 5.0)]
        hold: f64,
        /// Bind a user on each one (create-user); it then counts into the connect time
        #[arg(long)]
        create_user: bool,
    },
    /// Closed loop: senders keep a window of unacked messages full
    Chat {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        #[arg(long, default_value_t = 20)]
        rooms: usize,
        /// Members per room, each with its own connection
        #[arg(long, default_value_t = 10)]
        members: usize,
        /// Senders per room
        #[arg(long, default_value_t = 1)]
        senders: usize,
        /// Unacked messages in flight per sender
        #[arg(long, default_value_t = 16)]
        window: usize,
    },
    /// Open loop: a constant rate whatever the server does; latency counts from the intended send time
    Rate {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        /// Messages per second, over all rooms
        #[arg(long, default_value_t = 500.0)]
        rate: f64,
        #[arg(long, default_value_t = 20)]
        rooms: usize,
        #[arg(long, default_value_t = 10)]
        members: usize,
        #[arg(long, default_value_t = 1)]
        senders: usize,
        /// Exponential gaps between messages in place of even ones
        #[arg(long)]
        poisson: bool,
    },
    /// One room, one sender, many members
    Fanout {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        #[arg(long, default_value_t = 1000)]
        members: usize,
        #[arg(long, default_value_t = 4)]
        window: usize,
    },
    /// Clients are cut off while others send, come back all at once, and catch up; only polychat has this
    Reconnect {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        reconnect: reconnect::ReconnectArgs,
    },
    /// Fill one chat with very many messages, and note what was acknowledged
    Fill {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        fill: fill::FillArgs,
    },
    /// Read pages of what `fill` has filled
    History {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        history: history::HistoryArgs,
    },
    /// The most inserts per second that a mongod takes
    MongoCeiling(mongo::MongoArgs),
    /// How long a disk takes to sync, at a constant rate
    DiskCeiling(disk::DiskArgs),
    /// Reference server without a store: the harness's own ceiling, and faults to test the verification
    RefServer(refserver::RefArgs),
}

fn begin(pin: &Option<String>, prio: i32) -> Result<(), String> {
    sys::prepare(prio);
    match pin {
        Some(p) => sys::pin(p),
        None => Ok(()),
    }
}

fn main() {
    net::now();
    let cli = Cli::parse();
    let mut out: Option<std::path::PathBuf> = None;
    let run = || -> Result<(Value, bool), String> {
        match &cli.cmd {
            Cmd::Connect {
                common,
                count,
                hold,
                create_user,
            } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                connect::run(common, *count, *hold, *create_user)
            }
            Cmd::Chat {
                common,
                timing,
                rooms,
                members,
                senders,
                window,
            } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                let spec = Spec {
                    scenario: "chat",
                    rooms: *rooms,
                    members: *members,
                    senders: *senders,
                    window: *window,
                    rate: None,
                    poisson: false,
                };
                flow::run(common, timing, &spec)
            }
            Cmd::Rate {
                common,
                timing,
                rate,
                rooms,
                members,
                senders,
                poisson,
            } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                let spec = Spec {
                    scenario: "rate",
                    rooms: *rooms,
                    members: *members,
                    senders: *senders,
                    window: 0,
                    rate: Some(*rate),
                    poisson: *poisson,
                };
                flow::run(common, timing, &spec)
            }
            Cmd::Fanout {
                common,
                timing,
                members,
                window,
            } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                let spec = Spec {
                    scenario: "fanout",
                    rooms: 1,
                    members: *members,
                    senders: 1,
                    window: *window,
                    rate: None,
                    poisson: false,
                };
                flow::run(common, timing, &spec)
            }
            Cmd::Reconnect { common, reconnect } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                reconnect::run(common, reconnect)
            }
            Cmd::Fill { common, fill } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                fill::run(common, fill)
            }
            Cmd::History { common, history } => {
                begin(&common.pin, common.prio)?;
                out = common.json.clone();
                history::run(common, history)
            }
            Cmd::MongoCeiling(a) => {
                begin(&a.pin, a.prio)?;
                out = a.json.clone();
                mongo::run(a)
            }
            Cmd::DiskCeiling(a) => {
                begin(&a.pin, a.prio)?;
                out = a.json.clone();
                disk::run(a)
            }
            Cmd::RefServer(a) => {
                begin(&None, 0)?;
                refserver::run(a).map(|()| (json!({}), true))
            }
        }
    };
    let mut run = run;
    let res = run();
    match res {
        Ok((v, ok)) => {
            report::print(&v);
            if let Some(p) = out
                && let Err(e) = std::fs::write(&p, serde_json::to_string_pretty(&v).unwrap() + "\n")
            {
                eprintln!("{}: {e}", p.display());
                std::process::exit(3);
            }
            std::process::exit(if ok { 0 } else { 2 });
        }
        Err(e) => {
            eprintln!("loadgen: {e}");
            std::process::exit(3);
        }
    }
}
