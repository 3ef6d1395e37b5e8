//! Holds back or delays calls of the store in tests, so that other calls overtake them.
//! Does not change arguments and results, except that an answer can be lost.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Holds back results of the store.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    held: Option<(&'static str, HeldCall)>,
    lost: Option<&'static str>,
    delays: Option<Box<dyn FnMut(&'static str) -> Duration + Send>>,
}

/// A call whose result is held back.
#[derive(Clone)]
pub struct HeldCall(Arc<(Semaphore, Semaphore)>);

/// What becomes of an answer.
pub(super) enum Answer {
    /// It is returned.
    Passes,
    /// It is lost.
    Lost,
}

impl Gate {
    /// Holds back the next answer to this operation.
    pub fn hold(&self, operation: &'static str) -> HeldCall {
        let closed = || Semaphore::new(0);
        let held = HeldCall(Arc::new((closed(), closed())));
        self.0.lock().held = Some((operation, held.clone()));
        held
    }

    /// The next answer to this operation is an error, though it was done.
    pub fn lose(&self, operation: &'static str) {
        self.0.lock().lost = Some(operation);
    }

    /// From now on each call of an operation, and each answer, is delayed by what `delays` returns.
    pub fn delay(&self, delays: impl FnMut(&'static str) -> Duration + Send + 'static) {
        self.0.lock().delays = Some(Box::new(delays));
    }

    /// Before a call.
    pub(super) async fn linger(&self, operation: &'static str) {
        let delay = {
            let mut state = self.0.lock();
            let delays = state.delays.as_mut();
            delays.map_or(Duration::ZERO, |delays| delays(operation))
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// After a call, before its result is returned.
    pub(super) async fn pass(&self, operation: &'static str) -> Answer {
        let held = {
            let mut state = self.0.lock();
            state.held.take_if(|(held, _)| *held == operation)
        };
        if let Some((_, held)) = held {
            let (answered, released) = &*held.0;
            answered.add_permits(1);
            released.acquire().await.expect("never closed").forget();
        }
        self.linger(operation).await;
        let lost = self.0.lock().lost.take_if(|lost| *lost == operation);
        lost.map_or(Answer::Passes, |_| Answer::Lost)
    }
}

impl HeldCall {
    /// Returns when the store has answered.
    pub async fn answered(&self) {
        self.0.0.acquire().await.expect("never closed").forget();
    }

    /// Lets the answer go.
    pub fn release(&self) {
        self.0.1.add_permits(1);
    }
}
