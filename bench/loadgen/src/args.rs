//! Options of chat, rate and fanout, and the `Spec` that each is converted to.

use clap::Args;

#[derive(Args, Clone, Debug)]
pub struct Timing {
    /// Seconds of warm-up before the measured window
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    /// Length of the message text in bytes (at least 50)
    #[arg(long, default_value_t = 128)]
    pub msg_bytes: usize,
    /// After the window, wait this long for outstanding acks and deliveries, seconds
    #[arg(long, default_value_t = 10.0)]
    pub drain: f64,
    /// Pause between the last create-chat ack and the first message, ms
    #[arg(long, default_value_t = 300)]
    pub settle_ms: u64,
    /// How users and chats come to be: `create` (create-user and create-chat over Socket.IO), or `file:PATH` or
    /// `cmd:COMMAND` for chats that exist already and users that the handshake binds, as JSON:
    /// `{"rooms":[{"id":"..","members":[{"user_id":"..","auth":{..},"query":"..","headers":[".."]}]}]}`
    #[arg(long, default_value = "create")]
    pub setup: String,
}

#[derive(Args, Clone, Debug)]
pub struct ChatArgs {
    #[arg(long, default_value_t = 20)]
    rooms: usize,
    /// Members per room, each with its own connection
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// Senders per room
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// Unacked messages in flight per sender
    #[arg(long, default_value_t = 16)]
    window: usize,
}

#[derive(Args, Clone, Debug)]
pub struct RateArgs {
    /// Messages per second, over all rooms
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    #[arg(long, default_value_t = 20)]
    rooms: usize,
    #[arg(long, default_value_t = 10)]
    members: usize,
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// Exponential gaps between messages in place of even ones
    #[arg(long)]
    poisson: bool,
}

#[derive(Args, Clone, Debug)]
pub struct FanoutArgs {
    #[arg(long, default_value_t = 1000)]
    members: usize,
    #[arg(long, default_value_t = 4)]
    window: usize,
}

impl From<&ChatArgs> for Spec {
    fn from(args: &ChatArgs) -> Spec {
        Spec {
            scenario: "chat",
            rooms: args.rooms,
            members: args.members,
            senders: args.senders,
            window: args.window,
            rate: None,
            poisson: false,
        }
    }
}

impl From<&RateArgs> for Spec {
    fn from(args: &RateArgs) -> Spec {
        Spec {
            scenario: "rate",
            rooms: args.rooms,
            members: args.members,
            senders: args.senders,
            window: 0,
            rate: Some(args.rate),
            poisson: args.poisson,
        }
    }
}

impl From<&FanoutArgs> for Spec {
    fn from(args: &FanoutArgs) -> Spec {
        Spec {
            scenario: "fanout",
            rooms: 1,
            members: args.members,
            senders: 1,
            window: args.window,
            rate: None,
            poisson: false,
        }
    }
}

pub struct Spec {
    pub scenario: &'static str,
    pub rooms: usize,
    pub members: usize,
    pub senders: usize,
    pub window: usize,
    /// total messages per second: open loop
    pub rate: Option<f64>,
    pub poisson: bool,
}
