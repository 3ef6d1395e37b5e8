//! Delivery of the same notices to many subscriptions: encoded once per dialect, queued in each
//! outbox.
//! Does not know rooms, nor which message is next.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::Instant;

use super::interleave::Interleaver;
use super::{Outgoing, Pressure, SharedEncoding, Subscription};
use crate::model::{Fact, Message, Notice};
use crate::telemetry::CloseReason;

/// The outcome of a delivery.
#[derive(Default)]
pub(super) struct FanoutResult {
    /// Subscriptions whose outboxes are closed.
    pub(super) closed: Vec<Arc<Subscription>>,
    /// Subscriptions whose outboxes are under high pressure.
    pub(super) crowded: Vec<Arc<Subscription>>,
}

impl FanoutResult {
    /// Adds the outcome of another delivery.
    pub(super) fn extend(&mut self, other: Self) {
        self.closed.extend(other.closed);
        self.crowded.extend(other.crowded);
    }
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
        let message = match &self.notice.fact {
            Fact::MessageSent(message) => Some(&**message),
            _ => None,
        };
        if let Some(interleaver) = subscription.interleaver(self.notice, message) {
            return self.queue_in_order(subscription, interleaver, message);
        }
        let mut pressure = Ok(Pressure::Normal);
        self.encode_for(subscription, self.notice, &mut |frame, durable| {
            pressure = match durable {
                Some(durable) => subscription.outbox.deliver(frame, durable),
                None => subscription.outbox.push(frame),
            };
        });
        pressure
    }

    /// The same where the order of the chat is kept with the answers to the connection's own
    /// messages.
    fn queue_in_order(
        &mut self,
        subscription: &Subscription,
        interleaver: &Interleaver,
        message: Option<&Message>,
    ) -> Result<Pressure, CloseReason> {
        let Some(chat) = self.notice.fact.chat() else {
            return Ok(Pressure::Normal);
        };
        let (outbox, mut news) = (&subscription.outbox, Vec::new());
        let mut put = |frame, durable| news.push((frame, durable));
        let Some(message) = message else {
            self.encode_for(subscription, self.notice, &mut put);
            return interleaver.broadcast(chat, news, outbox);
        };
        let has_origin = self.notice.is_from(subscription.id);
        let is_own = has_origin || interleaver.is_own(chat, message.seq);
        if is_own == has_origin {
            self.encode_for(subscription, self.notice, &mut put);
        } else {
            // It was read from the store, which does not keep where a message came from.
            let own = Notice {
                origin: Some(subscription.id.into()),
                ..self.notice.clone()
            };
            self.encode_for(subscription, &own, &mut put);
        }
        interleaver.deliver((chat, message.seq), is_own, news, outbox)
    }

    /// Passes the subscriber's frames to `put`, and with the first one of a message, which counts
    /// as its delivery, since when it is durable.
    fn encode_for(
        &mut self,
        subscription: &Subscription,
        notice: &Notice,
        put: &mut dyn FnMut(Outgoing, Option<Instant>),
    ) {
        let mut sent_nothing = true;
        let mut undelivered = self.durable;
        let mut sink = |frame| {
            sent_nothing = false;
            put(frame, undelivered.take());
        };
        let message = match &notice.fact {
            Fact::MessageSent(message) => Some(message),
            _ => None,
        };
        // Read before encoding: a client that subscribes meanwhile has received this message if a
        // frame was sent.
        let subscriber = &subscription.subscriber;
        let unsubscribed = message.filter(|message| !subscriber.is_subscribed(message.chat));
        subscriber.encode(notice, &mut self.shared, &mut sink);
        if let Some(message) = unsubscribed
            && sent_nothing
        {
            subscription.mark_skipped(message.chat, message.seq);
        }
    }
}
