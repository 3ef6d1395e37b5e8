//! The manual page, for `man`.
//! Does not install it.

use clap::{Arg, CommandFactory};
use clap_mangen::Man;

use super::Cli;

/// The page in the language of troff: the command with its options, then those that a subcommand alone
/// has.
///
/// # Errors
/// None: it is written to memory.
pub fn manual() -> std::io::Result<Vec<u8>> {
    let mut command = Cli::command();
    // Sets the names of subcommands.
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let is_own = |option: &Arg| {
        let same = |other: &Arg| other.get_long() == option.get_long();
        option.get_id() != "help" && !command.get_arguments().any(same)
    };
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() == "help" || !subcommand.get_arguments().any(is_own) {
            continue;
        }
        let hide_others = |option: Arg| {
            let is_hidden = !is_own(&option);
            option.hide(is_hidden)
        };
        let own = subcommand.clone().mut_args(hide_others);
        let mut section = Vec::new();
        Man::new(own).render_options_section(&mut section)?;
        let section = String::from_utf8_lossy(&section).into_owned();
        let name = subcommand.get_name().to_uppercase();
        let title = format!(".SH \"OPTIONS OF {name}\"");
        page.extend(section.replacen(".SH OPTIONS", &title, 1).into_bytes());
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_option_and_command_and_no_value_of_a_secret() {
        let page = String::from_utf8(manual().expect("memory")).expect("a text");
        // A hyphen is escaped: it is not a mark of hyphenation.
        let page = page.replace("\\-", "-");
        let command = Cli::command();
        for option in command.get_arguments().filter_map(Arg::get_long) {
            assert!(page.contains(&format!("--{option}")), "{option}");
        }
        for subcommand in command.get_subcommands() {
            assert!(page.contains(subcommand.get_name()), "{subcommand}");
        }
        for own in [
            "OPTIONS OF TOKEN",
            "--ttl",
            "OPTIONS OF COPY",
            "--resume",
            "OPTIONS OF CONFIG",
        ] {
            assert!(page.contains(own), "{own}");
        }
        assert!(
            page.starts_with(".ie") && page.contains(".TH polychat 1"),
            "{}",
            &page[..80]
        );
    }
}
