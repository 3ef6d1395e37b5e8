//! The progress of a long command, on a terminal.
//! Does not know what is done.

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the progress if standard error is a terminal.
pub fn bar(doing: &'static str, total: u64, unit: &str) -> ProgressBar {
    let template = format!("{{msg:>9}} [{{wide_bar}}] {{pos}}/{{len}} {unit}, {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    let bar = ProgressBar::new(total).with_message(doing);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        // The template stands above; a bar of another look does as well.
        Err(_) => bar,
    }
}
