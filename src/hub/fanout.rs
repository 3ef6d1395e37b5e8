//! Delivery of the same notices to many subscriptions: encoded once per dialect, queued in each
//! outbox.
//! Does not know rooms, nor which message is next.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Pressure, SharedEncoding, Subscription};
use crate::model::{Fact, Notice};
use crate::telemetry::CloseReason;

/// What became of a delivery.
#[derive(Default)]
pub(super) struct FanoutResult {
    /// Subscriptions whose outboxes are closed.
    pub(super) closed: Vec<Arc<Subscription>>,
    /// Subscriptions whose outboxes are under high pressure.
    pub(super) crowded: Vec<Arc<Subscription>>,
}

/// Queues these notices, encoded for each subscription, in its outbox. One subscription after
/// another: its client gets them in one write, and its state is in the CPU's cache.
pub(super) fn fan_out<'a>(
    subscriptions: impl Iterator<Item = &'a Arc<Subscription>>,
    notices: &[Cow<'_, Notice>],
) -> FanoutResult {
    let mut deliveries: Vec<_> = notices.iter().map(|notice| Delivery::new(notice)).collect();
    let mut result = FanoutResult::default();
    for subscription in subscriptions {
        let pressures = deliveries.iter_mut().map(|one| one.queue_for(subscription));
        match pressures.reduce(|one, next| one.and_then(|pressure| Ok(pressure.max(next?)))) {
            Some(Ok(Pressure::High)) => result.crowded.push(Arc::clone(subscription)),
            Some(Err(_)) => result.closed.push(Arc::clone(subscription)),
            Some(Ok(Pressure::Normal)) | None => {}
        }
    }
    result
}

/// A notice on its way to one subscription after another.
struct Delivery<'a> {
    notice: &'a Notice,
    shared: SharedEncoding,
    /// When a message became durable; `None` for other facts. The clock is read at most once for
    /// all subscriptions.
    durable: Option<Instant>,
}

impl<'a> Delivery<'a> {
    fn new(notice: &'a Notice) -> Self {
        let message = matches!(notice.fact, Fact::MessageSent(_));
        Self {
            notice,
            shared: SharedEncoding::default(),
            durable: message.then(|| notice.durable.unwrap_or_else(Instant::now)),
        }
    }

    /// Queues the subscriber's frames in its outbox.
    fn queue_for(&mut self, subscription: &Subscription) -> Result<Pressure, CloseReason> {
        let mut pressure = Ok(Pressure::Normal);
        let mut sent_nothing = true;
        // Only the first frame of a message counts as its delivery.
        let mut undelivered = self.durable;
        let mut sink = |frame| {
            sent_nothing = false;
            pressure = match undelivered.take() {
                Some(durable) => subscription.outbox.deliver(frame, durable),
                None => subscription.outbox.push(frame),
            };
        };
        let message = match &self.notice.fact {
            Fact::MessageSent(message) => Some(message),
            _ => None,
        };
        // Asked before encoding: a client that subscribes meanwhile has got this message if a
        // frame was sent.
        let subscriber = &subscription.subscriber;
        let unsubscribed = message.filter(|message| !subscriber.is_subscribed(message.chat));
        subscriber.encode(self.notice, &mut self.shared, &mut sink);
        if let Some(message) = unsubscribed
            && sent_nothing
        {
            subscription.mark_skipped(message.chat, message.seq);
        }
        pressure
    }
}
