//! The event-name dialect (PROTOCOL §2): its JSON in `requests` and `responses`, one connection in
//! `session`.
//! Does not know transports.

mod requests;
mod responses;
mod session;

pub use session::EventNameSession;

#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
