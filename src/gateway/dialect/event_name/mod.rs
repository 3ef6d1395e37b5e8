//! The event-name dialect (docs/protocols/event-name.md): its JSON in `requests`, `responses` and
//! `moderation`, one connection in `session`.
//! Does not know transports.

mod moderation;
mod names;
mod requests;
mod responses;
mod session;

pub use session::EventNameSession;

#[cfg(test)]
mod moderation_tests;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
