//! The only place that reads the time of day; other modules receive a value.
//! Does not know time zones: those belong to the dialects that print them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The source of the current time: the machine, or a fixed time that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    hand: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self { hand: None }
    }

    /// A clock that stays at `at` until [`Clock::set`] moves it.
    pub fn fixed(at: Timestamp) -> Self {
        Self {
            hand: Some(Arc::new(AtomicI64::new(at.as_millisecond()))),
        }
    }

    /// Moves a fixed clock, forwards or backwards; the machine's cannot be moved.
    pub fn set(&self, at: Timestamp) {
        if let Some(hand) = &self.hand {
            hand.store(at.as_millisecond(), Ordering::SeqCst);
        }
    }

    /// Now, in whole milliseconds: the stored time equals the answered one.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        let millisecond = match &self.hand {
            Some(hand) => hand.load(Ordering::SeqCst),
            None => Timestamp::now().as_millisecond(),
        };
        Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
