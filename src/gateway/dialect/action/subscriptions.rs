//! The rooms that one connection has joined and subscribed to, each with its envelope.
//! Does not check rights: it is called after the service has granted a request.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::refusal::Refusal;
use super::responses::{Envelope, Instance};
use crate::model::{Chat, ChatId, ChatPk};

/// How many subscriptions to the instance of one room a connection can have: each is a frame
/// of its own at every change.
pub(super) const INSTANCES: usize = 100;

/// The subscriptions of one connection.
#[derive(Default)]
pub(super) struct Subscriptions {
    current: Option<ChatPk>,
    rooms: HashMap<ChatId, RoomSubscriptions>,
}

/// The subscriptions to one room.
#[derive(Default)]
struct RoomSubscriptions {
    joined: Option<Envelope>,
    messages: Option<Envelope>,
    instances: Vec<Instance>,
}

impl RoomSubscriptions {
    fn is_idle(&self) -> bool {
        self.joined.is_none() && self.messages.is_none() && self.instances.is_empty()
    }
}

impl Subscriptions {
    /// The room that was joined last: messages without a `pk` go there.
    pub(super) fn current(&self) -> Option<ChatPk> {
        self.current
    }

    /// Joined; this is the current room from now on.
    pub(super) fn join(&mut self, chat: &Chat, envelope: Envelope) {
        self.current = Some(chat.pk);
        self.rooms.entry(chat.id).or_default().joined = Some(envelope);
    }

    /// Left. As on the original server it stays the current room, and subscriptions stay.
    pub(super) fn leave(&mut self, chat: ChatId) {
        self.change(chat, |room| room.joined = None);
    }

    /// Subscribed to the room's messages.
    pub(super) fn listen(&mut self, chat: ChatId, envelope: Envelope) {
        self.rooms.entry(chat).or_default().messages = Some(envelope);
    }

    /// Subscribed to the room itself; the same `request_id` again changes nothing but the
    /// envelope.
    ///
    /// # Errors
    /// There are too many of them.
    pub(super) fn watch(&mut self, chat: ChatId, instance: Instance) -> Result<(), Refusal> {
        let instances = &mut self.rooms.entry(chat).or_default().instances;
        let id = instance.request_id();
        if let Some(known) = instances.iter_mut().find(|known| known.request_id() == id) {
            *known = instance;
        } else if instances.len() < INSTANCES {
            instances.push(instance);
        } else {
            let why = format!("request_id: at most {INSTANCES} subscriptions to one room");
            return Err(Refusal::text(413, why));
        }
        Ok(())
    }

    /// Unsubscribed from the room itself: under this `request_id` only, or altogether.
    pub(super) fn unwatch(&mut self, chat: ChatId, request_id: Option<&RawValue>) {
        self.change(chat, |room| match request_id.map(RawValue::get) {
            Some(id) => room
                .instances
                .retain(|known| known.request_id() != Some(id)),
            None => room.instances.clear(),
        });
    }

    /// The room is gone: returns the subscriptions to notify.
    pub(super) fn forget(&mut self, chat: ChatId, pk: ChatPk) -> Vec<Instance> {
        if self.current == Some(pk) {
            self.current = None;
        }
        let room = self.rooms.remove(&chat);
        room.map(|room| room.instances).unwrap_or_default()
    }

    /// The envelope of the room's messages, if they are subscribed to.
    pub(super) fn listening(&self, chat: ChatId) -> Option<Envelope> {
        self.rooms.get(&chat)?.messages.clone()
    }

    /// The envelope of the room's member events, if they are sent.
    pub(super) fn concerned(&self, chat: ChatId) -> Option<Envelope> {
        let room = self.rooms.get(&chat)?;
        let first = room.instances.first().map(|instance| &instance.envelope);
        let envelope = room.joined.as_ref().or(room.messages.as_ref()).or(first);
        envelope.cloned()
    }

    /// The subscriptions to the room itself.
    pub(super) fn watching(&self, chat: ChatId) -> Vec<Instance> {
        let room = self.rooms.get(&chat);
        room.map(|room| room.instances.clone()).unwrap_or_default()
    }

    /// Whether there is a subscription: events that a member receives by joining alone end with the
    /// membership.
    pub(super) fn watches(&self, chat: ChatId) -> bool {
        let room = self.rooms.get(&chat);
        room.is_some_and(|room| room.messages.is_some() || !room.instances.is_empty())
    }

    fn change(&mut self, chat: ChatId, change: impl FnOnce(&mut RoomSubscriptions)) {
        if let Some(room) = self.rooms.get_mut(&chat) {
            change(room);
            if room.is_idle() {
                self.rooms.remove(&chat);
            }
        }
    }
}
