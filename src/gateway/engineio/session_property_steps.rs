//! The steps of a session, in random order.
//! Does not know the expected outcome.

use proptest::prelude::*;

/// A step.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// The application queues so many messages.
    Push(u8),
    Poll,
    /// The client gives up the pending poll.
    AbandonPoll,
    TakeAnswer,
    /// The answer to a poll is dropped before the HTTP server has taken it.
    LoseAnswer,
    /// The client sends something, over whatever carries the session.
    Send(Sent),
    BeginProbe,
    EndProbe,
    FinishProbe,
    ReleasePoll,
    Read,
    /// The WebSocket breaks.
    Break,
    Admit(Option<u8>),
    Vacate,
    Wait(u8),
    ApplicationEnds,
    Expire,
    ShutDown,
}

/// The input of a client.
#[derive(Debug, Clone, Copy)]
pub enum Sent {
    Message,
    /// A message that is handled later.
    Later,
    Heartbeat,
    Close,
    Garbage,
}

/// Something that happens: mostly what does not end a session.
pub fn step() -> impl Strategy<Value = Step> {
    let often = prop_oneof![
        6 => (1_u8..80).prop_map(Step::Push),
        8 => Just(Step::Poll),
        6 => Just(Step::TakeAnswer),
        4 => Just(Step::Send(Sent::Message)),
        2 => Just(Step::Send(Sent::Later)),
        3 => Just(Step::Send(Sent::Heartbeat)),
        3 => Just(Step::BeginProbe),
        2 => Just(Step::EndProbe),
        2 => Just(Step::FinishProbe),
        2 => Just(Step::ReleasePoll),
        4 => Just(Step::Read),
        2 => Just(Step::Admit(None)),
        2 => (1_u8..10).prop_map(Step::Wait),
    ];
    let seldom = prop_oneof![
        Just(Step::AbandonPoll),
        Just(Step::LoseAnswer),
        Just(Step::Send(Sent::Close)),
        Just(Step::Send(Sent::Garbage)),
        Just(Step::Break),
        (1_u8..60).prop_map(|seconds| Step::Admit(Some(seconds))),
        Just(Step::Vacate),
        Just(Step::ApplicationEnds),
        Just(Step::Expire),
        Just(Step::ShutDown),
    ];
    prop_oneof![40 => often, 1 => seldom]
}
