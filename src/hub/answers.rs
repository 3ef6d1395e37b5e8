//! The answers to messages that connections send: queued at their place among the deliveries.
//! Does not know requests and the store.

use super::interleave::{Answered, respond};
use super::{AnswerPlace, Hub, Outgoing, Subscription};
use crate::model::Message;

impl Hub {
    /// Queues the answer to a message that this connection sent if it has no place among the
    /// deliveries to it, or all before it was delivered. Returns whether it was queued; if not it
    /// is to be tried again after [`Subscription::turn`].
    pub fn answer(
        &self,
        subscription: &Subscription,
        message: &Message,
        frames: &mut Vec<Outgoing>,
    ) -> bool {
        let outbox = &subscription.outbox;
        let (chat, sent) = (message.chat, (message.chat, message.seq));
        let Some((interleaver, place)) = subscription.answer_interleaver(chat) else {
            respond(frames, outbox);
            return true;
        };
        let mut answered = interleaver.answer(sent, place, frames, outbox);
        if answered == Answered::Unknown && place != AnswerPlace::Apart {
            let room = self.room(chat);
            // While this is held nothing is delivered there.
            let room = room.as_ref().map(|room| room.lock());
            let delivered = room.as_ref();
            let delivered = delivered.and_then(|room| room.delivered_to(subscription.id));
            if place == AnswerPlace::NotYet {
                // So that its delivery does not wait for the answer if it is beside it by then.
                interleaver.begin(chat, delivered.unwrap_or(0));
            } else if let Some(delivered) = delivered.filter(|_| subscription.is_in(chat)) {
                interleaver.begin(chat, delivered);
                answered = interleaver.answer(sent, place, frames, outbox);
            } else if subscription.is_joining(chat, message.sender.id) {
                answered = Answered::Waits;
            }
        }
        if answered == Answered::Unknown {
            interleaver.answer_now(sent, frames, outbox);
        }
        answered != Answered::Waits
    }
}
