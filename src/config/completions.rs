//! Completions of the command line for shells.
//! Does not install them.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// The shell of the completions.
#[derive(Debug, Clone, Args)]
pub struct CompletionOptions {
    /// The shell
    pub shell: Shell,
}

impl CompletionOptions {
    /// The program that its shell reads.
    pub fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "polychat", &mut script);
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_knows_the_options_and_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = CompletionOptions { shell }.script();
            let script = String::from_utf8(script).expect("a text");
            for word in ["allowed-origins", "copy", "resume"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
