//! Options of every measuring command: priority and placement of the process, label and file of the result.

use crate::sys;
use clap::Args;
use serde_json::Value;

/// The result as JSON, and whether it was verified.
pub type Outcome = Result<(Value, bool), String>;

#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Write the result as JSON here too
    #[arg(long)]
    pub json: Option<std::path::PathBuf>,
    /// Free text kept in the JSON
    #[arg(long, default_value = "")]
    pub label: String,
    /// Pin this process to these CPUs, e.g. 1 or 0,1
    #[arg(long)]
    pub pin: Option<String>,
    /// nice value of this process (negative needs the right to)
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub prio: i32,
}

impl RunArgs {
    /// Applies the limits, priority and placement to this process.
    pub fn prepare(&self) -> Result<(), String> {
        sys::prepare(self.prio);
        self.pin.as_deref().map_or(Ok(()), sys::pin)
    }

    pub fn save(&self, result: &Value) -> Result<(), String> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        std::fs::write(path, format!("{result:#}\n"))
            .map_err(|e| format!("{}: {e}", path.display()))
    }
}
