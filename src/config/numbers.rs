//! The options for the integer ids of users, chats and events.
//! Does not assign them: `service` and `store` do.

use clap::Args;
use clap::builder::BoolishValueParser;

/// The integer ids.
#[derive(Debug, Clone, Args)]
pub struct NumberOptions {
    /// The first integer id of users, chats and events that the server gives out itself: set it above those of the
    /// host application. Chats use 90000000 if it is greater
    #[arg(
        long,
        env = "POLYCHAT_OWN_NUMBERS_FROM",
        default_value_t = 1,
        value_parser = clap::value_parser!(i64).range(1..=1 << 52),
        value_name = "NUMBER"
    )]
    pub own_numbers_from: i64,

    /// Use an external user id that is a positive integer as the integer id of its user
    #[arg(long, env = "POLYCHAT_NUMERIC_EXTERNAL_IDS", value_parser = BoolishValueParser::new())]
    pub numeric_external_ids: bool,
}
