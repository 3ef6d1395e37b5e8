//! The parts that all transports share: the handling of incoming messages, and the frames sent when
//! a connection ends.
//! Does not know any transport.

use std::pin::Pin;

use crate::telemetry::CloseReason;

/// The remaining work of an incoming message. An error ends its connection.
pub type Work = Pin<Box<dyn Future<Output = Result<(), CloseReason>> + Send>>;

/// The outcome of an incoming message.
pub enum Handled {
    /// It was handled.
    Done,
    /// It will be, and nothing more of this client may be handled before that: so requests keep
    /// their order, and a client that sends faster than it can be served is not read from.
    Later(Work),
}

/// The code of the close frame for a reason (RFC 6455 §7.4.1); `None`: the client is not there any
/// more, so nothing is sent. After any of these the official clients reconnect.
pub const fn close_frame(why: CloseReason) -> Option<(u16, &'static str)> {
    Some(match why {
        CloseReason::Gone | CloseReason::Silent => return None,
        CloseReason::TooLarge => (1009, "frame too large"),
        CloseReason::NotUtf8 => (1007, "not UTF-8"),
        CloseReason::ProtocolError => (1002, "protocol error"),
        CloseReason::Expired => (1008, "token expired"),
        CloseReason::Disconnected => (1008, "disconnected"),
        CloseReason::NotAdmitted => (1008, "not authenticated in time"),
        CloseReason::Refused => (1008, "refused too often"),
        CloseReason::Lagging => (1013, "lagging"),
        CloseReason::RateLimited => (1008, "rate_limited"),
        CloseReason::ShuttingDown => (1012, "restarting"),
        CloseReason::Unavailable => (1013, "unavailable"),
    })
}
