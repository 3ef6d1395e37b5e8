//! The options of the commands about whole stores: `copy`, `backup` and `restore`.
//! Does not open a store.

use std::path::PathBuf;

use clap::Args;

use super::places;

/// The store of a server without an option for it.
pub(super) const DEFAULT: &str = "sqlite:polychat.db";

/// The stores of a copy.
#[derive(Debug, Clone, Args)]
pub struct CopyOptions {
    /// The store to copy from, as in --store
    #[arg(long, value_parser = places::store, value_name = "URL")]
    pub from: String,

    /// The store to copy to: an empty one
    #[arg(long, value_parser = places::store, value_name = "URL")]
    pub to: String,

    /// Continue a copy that was interrupted
    #[arg(long)]
    pub resume: bool,
}

/// The store of a server, for a command that has no other option of it.
#[derive(Debug, Clone, Args)]
pub struct StoreOption {
    /// The store, as of the server
    #[arg(
        long,
        env = "POLYCHAT_STORE",
        hide_env_values = true,
        default_value = DEFAULT,
        value_parser = places::store,
        value_name = "URL"
    )]
    pub store: String,

    /// A TOML file with further options
    #[arg(long, env = "POLYCHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The file of a backup, and its store.
#[derive(Debug, Clone, Args)]
pub struct BackupOptions {
    /// The file to write, which must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The store to copy.
    #[command(flatten)]
    pub of: StoreOption,
}

/// The backup to restore, and where.
#[derive(Debug, Clone, Args)]
pub struct RestoreOptions {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The store to put it into.
    #[command(flatten)]
    pub into: StoreOption,

    /// Replace an existing store, which is kept with .before-restore- and the time after its name
    #[arg(long)]
    pub replace: bool,
}
