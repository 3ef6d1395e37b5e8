//! The event-name dialect (PROTOCOL §2): the names of its events, and its JSON in `requests`
//! and `answers`.
//! It refuses to know sockets: requests come in as text, answers go out as frames.

mod answers;
mod requests;
mod tongue;

pub use requests::{decode, sync};
pub use tongue::EventName;

/// Finds or creates a user.
pub const CREATE_USER: &str = "create-user";
/// Creates a chat; also tells its other members.
pub const CREATE_CHAT: &str = "create-chat";
/// The chats of a user.
pub const LIST_CHATS: &str = "list-chats";
/// The history of a chat.
pub const LIST_MESSAGES: &str = "list-messages";
/// Sends a message; also tells everybody in the chat.
pub const NEW_MESSAGE: &str = "new-message";
/// What was missed of chats; also tells a client that connects of what it has to ask for.
pub const SYNC: &str = "sync";
/// Tells of an error where no acknowledgement was asked for.
pub const EXCEPTION: &str = "exception";

#[cfg(test)]
mod tests;
