//! Owns the command line of the load generator and verifier. Does not know the scenarios. See ../../README.md.

mod args;
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
mod num;
mod os;
mod reconnect;
mod refserver;
mod report;
mod returning;
mod rooms;
mod run;
mod sender;
mod sio;
mod stored;
mod sys;
mod verify;

use args::Timing;
use clap::{Parser, Subcommand};
use client::Common;
use run::{Outcome, RunArgs};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Load generator and verifier for chat servers")]
// So that run.mjs --loadgen may override the options of a scenario.
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
        #[command(flatten)]
        connect: connect::ConnectArgs,
    },
    /// Closed loop: senders keep a window of unacked messages full
    Chat {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        #[command(flatten)]
        chat: args::ChatArgs,
    },
    /// Open loop: a constant rate whatever the server does; latency counts from the intended send time
    Rate {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        #[command(flatten)]
        rate: args::RateArgs,
    },
    /// One room, one sender, many members
    Fanout {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        timing: Timing,
        #[command(flatten)]
        fanout: args::FanoutArgs,
    },
    /// Clients are disconnected while others send, reconnect all at once, and catch up; only polychat has this
    Reconnect {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        reconnect: reconnect::ReconnectArgs,
    },
    /// Fill one chat with very many messages, and record the acknowledged ones
    Fill {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        fill: fill::FillArgs,
    },
    /// Read pages of the chat that `fill` has filled
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

impl Cmd {
    /// Options of a measuring command; `None` for the reference server.
    fn run_args(&self) -> Option<&RunArgs> {
        match self {
            Cmd::Connect { common, .. }
            | Cmd::Chat { common, .. }
            | Cmd::Rate { common, .. }
            | Cmd::Fanout { common, .. }
            | Cmd::Reconnect { common, .. }
            | Cmd::Fill { common, .. }
            | Cmd::History { common, .. } => Some(&common.run),
            Cmd::MongoCeiling(args) => Some(&args.run),
            Cmd::DiskCeiling(args) => Some(&args.run),
            Cmd::RefServer(_) => None,
        }
    }

    fn execute(&self) -> Outcome {
        match self {
            Cmd::Connect { common, connect } => connect::run(common, connect),
            Cmd::Chat {
                common,
                timing,
                chat,
            } => flow::run(common, timing, &chat.into()),
            Cmd::Rate {
                common,
                timing,
                rate,
            } => flow::run(common, timing, &rate.into()),
            Cmd::Fanout {
                common,
                timing,
                fanout,
            } => flow::run(common, timing, &fanout.into()),
            Cmd::Reconnect { common, reconnect } => reconnect::run(common, reconnect),
            Cmd::Fill { common, fill } => fill::run(common, fill),
            Cmd::History { common, history } => history::run(common, history),
            Cmd::MongoCeiling(args) => mongo::run(args),
            Cmd::DiskCeiling(args) => disk::run(args),
            Cmd::RefServer(args) => match refserver::run(args)? {},
        }
    }
}

/// Runs a command and prints its result. Returns whether the result was verified.
fn measure(cmd: &Cmd) -> Result<bool, String> {
    let args = cmd.run_args();
    args.map_or(Ok(()), RunArgs::prepare)?;
    let (result, verified) = cmd.execute()?;
    report::print(&result);
    args.map_or(Ok(()), |args| args.save(&result))?;
    Ok(verified)
}

fn main() -> ExitCode {
    net::now();
    match measure(&Cli::parse().cmd) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(e) => {
            eprintln!("loadgen: {e}");
            ExitCode::from(3)
        }
    }
}
