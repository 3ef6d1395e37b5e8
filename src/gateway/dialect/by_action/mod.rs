//! The action dialect (PROTOCOL §3, ORIGINALS part A): one connection's side of it, put
//! together from `requests`, `answers` and `subscriptions`.
//! It refuses to know sockets and queues, and it asks nobody but through a command.

mod answers;
mod requests;
mod subscriptions;
mod validation;

use std::sync::Arc;

use parking_lot::Mutex;

use self::answers::{Bodies, Echo, Envelope, Refusal};
use self::requests::{Ask, Purpose};
use self::subscriptions::Subscriptions;
use super::{Acks, Answer, Dialect, Encoded, Frame, Heard, Listener, Setting, Talk};
use crate::model::{ChatId, Error, ErrorKind, Fact, Membership, Message, Notice, Reply, Room};
use crate::telemetry::Spoken;

/// The action dialect.
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/chat/room"],
    recognises: |frame| frame.get("action").is_some() || frame.get("stream").is_some(),
    begin: |setting| Arc::new(Conversation::new(setting)),
};

/// What one connection says and hears.
struct Conversation {
    setting: Setting,
    subscriptions: Mutex<Subscriptions>,
}

impl Talk for Conversation {
    fn hear(self: Arc<Self>, text: &str) -> Heard {
        let current = self.subscriptions.lock().current();
        let (echo, ask) = requests::read(text, current);
        match ask {
            Ok(Ask { purpose, command }) => {
                let answer: Answer = Box::new(move |outcome| {
                    let frame = outcome
                        .map_err(|error| Refusal::from(&error))
                        .and_then(|reply| self.answer(&echo, &purpose, &reply));
                    let frame = frame.unwrap_or_else(|refusal| Some(echo.refuse(&refusal)));
                    frame.into_iter().collect()
                });
                Heard::Ask(command, answer)
            }
            Err(refusal) => Heard::Refuse(refusal.kind(), vec![echo.refuse(&refusal)]),
        }
    }

    fn watches(&self, chat: ChatId) -> bool {
        self.subscriptions.lock().watches(chat)
    }

    fn refuse(&self, text: &str, error: &Error) -> Frame {
        let (echo, _) = requests::read(text, None);
        echo.refuse(&Refusal::from(error))
    }

    fn spoken(&self) -> Spoken {
        Spoken::Action
    }

    fn refuse_binary(&self) -> Frame {
        Echo::default().refuse(&Refusal::text(400, "A frame must be text."))
    }
}

impl Listener for Conversation {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        match &notice.fact {
            Fact::MessageSent(message) => self.tell_message(message, encoded, say),
            Fact::MemberJoined(change) | Fact::MemberLeft(change) => {
                if notice.origin != Some(self.setting.connection) {
                    self.tell_members(change, encoded, say);
                }
            }
            Fact::ChatChanged(room) => self.tell_change(room, encoded, say),
            Fact::ChatDeleted { chat, pk } => {
                let watching = self.subscriptions.lock().forget(*chat, *pk);
                for instance in watching {
                    say(answers::deleted(&instance, *pk));
                }
            }
            Fact::ChatCreated(_)
            | Fact::EventChatOpened(_)
            | Fact::AccessChanged(_)
            | Fact::ReadMoved(_) => {}
        }
    }

    fn hears(&self, chat: ChatId) -> bool {
        self.subscriptions.lock().listening(chat).is_some()
    }
}

impl Conversation {
    fn new(setting: Setting) -> Self {
        Self {
            setting,
            subscriptions: Mutex::default(),
        }
    }

    /// Notes what a request that succeeded changes for its connection, and answers it unless
    /// silence is the answer.
    fn answer(
        &self,
        echo: &Echo,
        purpose: &Purpose,
        reply: &Reply,
    ) -> Result<Option<Frame>, Refusal> {
        let frame = match (purpose, reply) {
            (Purpose::Join, Reply::Joined(joined)) => {
                let envelope = echo.envelope.clone();
                self.subscriptions.lock().join(&joined.room.chat, envelope);
                self.acknowledge(echo)
            }
            (Purpose::Leave, Reply::Left(chat)) => {
                self.subscriptions.lock().leave(*chat);
                self.acknowledge(echo)
            }
            (Purpose::Listen, Reply::Room(room)) => {
                let envelope = echo.envelope.clone();
                self.subscriptions.lock().listen(room.chat.id, envelope);
                self.acknowledge(echo)
            }
            (Purpose::Watch, Reply::Room(room)) => {
                self.subscriptions
                    .lock()
                    .watch(room.chat.id, echo.instance())?;
                Some(echo.reply(201, &()))
            }
            (Purpose::Unwatch, Reply::Room(room)) => {
                let request_id = echo.request_id.as_deref();
                self.subscriptions.lock().unwatch(room.chat.id, request_id);
                Some(echo.reply(204, &()))
            }
            (Purpose::Send, Reply::Sent(sent)) => self.acknowledges(echo).then(|| {
                let message = self.bodies().message(sent.message());
                echo.reply(200, &message)
            }),
            (Purpose::Show(status), Reply::Room(room)) => {
                Some(echo.reply(*status, &self.bodies().room(room)))
            }
            (Purpose::Show(status), Reply::Rooms(rooms)) => {
                Some(echo.reply(*status, &self.bodies().rooms(rooms)))
            }
            (Purpose::CatchUp(sought), Reply::Synced(synced)) => {
                let body = sought.answer(synced, |message| self.bodies().numbered(message));
                Some(echo.reply(200, &body))
            }
            (Purpose::Delete, Reply::Deleted(_)) => Some(echo.reply(204, &())),
            _ => return Err(unexpected()),
        };
        Ok(frame)
    }

    /// The reply to what succeeds in silence, where it does not.
    fn acknowledge(&self, echo: &Echo) -> Option<Frame> {
        self.acknowledges(echo).then(|| echo.reply(200, &()))
    }

    fn acknowledges(&self, echo: &Echo) -> bool {
        self.setting.acks == Acks::Always || echo.envelope.is_stream()
    }

    fn bodies(&self) -> Bodies<'_> {
        Bodies {
            zone: &self.setting.zone,
        }
    }

    fn tell_message(&self, message: &Message, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        let listening = self.subscriptions.lock().listening(message.chat);
        if let Some(envelope) = listening {
            let plain = encoded.once("action:message", || {
                Some(self.bodies().message_event(message))
            });
            say_shared(&envelope, plain, say);
        }
    }

    fn tell_members(&self, change: &Membership, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        let concerned = self.subscriptions.lock().concerned(change.chat);
        if let Some(envelope) = concerned {
            let plain = encoded.once("action:members", || Some(answers::members(change)));
            say_shared(&envelope, plain, say);
        }
    }

    fn tell_change(&self, room: &Room, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        let watching = self.subscriptions.lock().watching(room.chat.id);
        if watching.is_empty() {
            return;
        }
        // Every subscription has a frame of its own around the same room, so it is the room
        // that is shared: as the body of an event, the one kind of frame that holds JSON.
        let shared = encoded.once("action:room", || {
            Some(Frame::Event("update", self.bodies().encoded_room(room)))
        });
        if let Some(Frame::Event(_, room)) = shared {
            for instance in watching {
                say(answers::updated(&instance, &room));
            }
        }
    }
}

fn say_shared(envelope: &Envelope, plain: Option<Frame>, say: &mut dyn FnMut(Frame)) {
    if let Some(plain) = plain {
        say(envelope.around(plain));
    }
}

fn unexpected() -> Refusal {
    Refusal::from(&Error::new(
        ErrorKind::Internal,
        "the answer is of another kind than the request",
    ))
}

#[cfg(test)]
mod tests;
