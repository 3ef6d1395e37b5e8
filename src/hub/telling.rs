//! Telling many seats the same: encoded once per dialect, put into each one's outbox.
//! It refuses to know who sits where, and what is next.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Closed, Fill, Seat};
use crate::gateway::dialect::Encoded;
use crate::model::{Fact, Notice};

/// What became of telling seats something.
#[derive(Default)]
pub(super) struct Told {
    /// Those that take nothing more.
    pub(super) closed: Vec<Arc<Seat>>,
    /// Those whose outboxes are crowded.
    pub(super) crowded: Vec<Arc<Seat>>,
}

/// Puts what each seat makes of these notices into its outbox, encoded once per dialect. Seat
/// by seat: the client has them in one write, and the server has the seat at hand.
pub(super) fn tell<'a>(
    seats: impl Iterator<Item = &'a Arc<Seat>>,
    notices: &[Cow<'_, Notice>],
) -> Told {
    let mut saying: Vec<_> = notices.iter().map(|notice| Saying::new(notice)).collect();
    let mut told = Told::default();
    for seat in seats {
        let fills = saying.iter_mut().map(|saying| saying.to(seat));
        match fills.reduce(|one, next| one.and_then(|fill| Ok(fill.max(next?)))) {
            Some(Ok(Fill::Crowded)) => told.crowded.push(Arc::clone(seat)),
            Some(Err(_)) => told.closed.push(Arc::clone(seat)),
            Some(Ok(Fill::Easy)) | None => {}
        }
    }
    told
}

/// A notice that is being told to one seat after another.
struct Saying<'a> {
    notice: &'a Notice,
    encoded: Encoded,
    /// Of a message only. One look at the clock for all seats, at most.
    durable: Option<Instant>,
}

impl<'a> Saying<'a> {
    fn new(notice: &'a Notice) -> Self {
        let message = matches!(notice.fact, Fact::MessageSent(_));
        Self {
            notice,
            encoded: Encoded::default(),
            durable: message.then(|| notice.durable.unwrap_or_else(Instant::now)),
        }
    }

    /// Puts what the seat makes of it into its outbox.
    fn to(&mut self, seat: &Seat) -> Result<Fill, Closed> {
        let mut fill = Ok(Fill::Easy);
        let mut told_nothing = true;
        // What a dialect says of a message beside it is not delivered once more.
        let mut undelivered = self.durable;
        let mut say = |frame| {
            told_nothing = false;
            fill = match undelivered.take() {
                Some(durable) => seat.outbox.deliver(frame, durable),
                None => seat.outbox.tell(frame),
            };
        };
        let message = match &self.notice.fact {
            Fact::MessageSent(message) => Some(message),
            _ => None,
        };
        // Asked before: who begins to hear meanwhile has heard this one if it was told.
        let unheard = message.filter(|message| !seat.listener.hears(message.chat));
        seat.listener.tell(self.notice, &mut self.encoded, &mut say);
        if let Some(message) = unheard
            && told_nothing
        {
            seat.overhear(message.chat, message.seq);
        }
        fill
    }
}
