//! One connection to the marketplace: what it is told at first, and what of that must not be
//! told twice.
//! It refuses to know the transport beyond how it frames a body.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{CHAT_UNREAD, CHAT_UPDATES, Framing, HISTORY, INITIAL_DATA, Question, answers};
use crate::gateway::dialect::{Encoded, Frame, Json, Listener};
use crate::model::{
    ChatId, Command, EventChat, EventTalk, Fact, Marketplace, Message, Notice, Reply, Sent, Seq,
    Side, Standing, UserId,
};

/// How many notices wait for `initial_data` at most; with more it is read once more.
const HELD: usize = 4096;

/// One connection to the marketplace.
pub struct Visitor {
    user: UserId,
    framing: Framing,
    phase: Mutex<Phase>,
    /// Held by whoever is telling the client something.
    voice: Mutex<()>,
}

/// How far the conversation is.
enum Phase {
    /// `initial_data` is being read; this happened meanwhile.
    Entering(Vec<Notice>),
    /// `initial_data` was sent.
    Inside(Known),
}

/// What the client knows of its chats.
type Known = HashMap<ChatId, Told>;

/// What the client knows of one chat.
struct Told {
    /// The latest message that `initial_data` may have shown: up to it nothing is shown again.
    shown: Seq,
    /// How things stand, as far as it was told.
    standing: Standing,
}

impl Visitor {
    /// A connection of this user, which has been told nothing yet.
    pub fn new(user: UserId, framing: Framing) -> Self {
        Self {
            user,
            framing,
            phase: Mutex::new(Phase::Entering(Vec::new())),
            voice: Mutex::default(),
        }
    }

    /// The frames that answer a request. What both sides are told by the hub anyway is not
    /// said here once more.
    pub fn answer(&self, question: &Question, reply: &Reply) -> Vec<Frame> {
        let silent = match reply {
            Reply::Sent(sent) => matches!(sent, Sent::Stored(_)),
            Reply::Read(marked) => marked.moved,
            // A service that decides for an owner is on neither side.
            Reply::EventChat(touched) => {
                touched.changed && touched.chat.side_of(self.user).is_some()
            }
            _ => false,
        };
        if silent {
            return Vec::new();
        }
        let name = match question {
            Question::Message | Question::Chat => CHAT_UPDATES,
            Question::Read => CHAT_UNREAD,
            Question::History(_) => HISTORY,
        };
        let body = self.body(question, reply);
        body.map(|body| self.framing.frame(name, body))
            .into_iter()
            .collect()
    }

    /// The body that answers a request: what an acknowledgement carries.
    pub fn body(&self, question: &Question, reply: &Reply) -> Option<Arc<Json>> {
        Some(match (question, reply) {
            (Question::Message, Reply::Sent(sent)) => {
                let message = sent.message();
                let chat = self.present(message.event_chat.as_ref()?);
                let side = chat.side_of(message.sender.id)?;
                answers::chat_updates(side, &chat, Some(message))
            }
            (Question::Read, Reply::Read(marked)) => {
                let chat = self.present(marked.event_chat.as_ref()?);
                answers::chat_unread(self.side_of(&chat), &chat)
            }
            (Question::History(chat), Reply::Messages(page, _)) => {
                answers::history(*chat, &page.messages)
            }
            (Question::Chat, Reply::EventChat(touched)) => {
                let chat = self.present(&touched.chat);
                answers::chat_updates(self.side_of(&chat), &chat, None)
            }
            _ => return None,
        })
    }

    /// The chat as it stands at least, by what this connection was told already: an answer may
    /// have been read before that.
    fn present(&self, chat: &Arc<EventChat>) -> Arc<EventChat> {
        match &mut *self.phase.lock() {
            Phase::Inside(known) => present(known, chat),
            Phase::Entering(_) => Arc::clone(chat),
        }
    }

    /// A service that is on neither side sees the chat as its owner does.
    fn side_of(&self, chat: &EventChat) -> Side {
        chat.side_of(self.user).unwrap_or(Side::Owner)
    }

    /// Says of `notice` what this side is told, given what it knows already.
    fn pass_on(
        &self,
        known: &mut Known,
        notice: &Notice,
        encoded: &mut Encoded,
        say: &mut dyn FnMut(Frame),
    ) {
        let Some(chat) = notice.fact.event_chat() else {
            return;
        };
        let Some(side) = chat.side_of(self.user) else {
            return;
        };
        let chat = present(known, chat);
        let shown = known.get(&chat.chat).map_or(0, |told| told.shown);
        // What was told before is later than what was still under way then: nobody else may
        // be told the same.
        let mut alone = Encoded::default();
        let same = notice
            .fact
            .event_chat()
            .is_some_and(|told| told.standing == chat.standing);
        let encoded = if same { encoded } else { &mut alone };
        match &notice.fact {
            Fact::MessageSent(message) => {
                if message.seq > shown {
                    self.say_update(side, &chat, Some(message), encoded, say);
                }
                self.say_unread(side, &chat, encoded, say);
            }
            Fact::EventChatOpened(_) if side == Side::Guest => {
                self.say_update(side, &chat, None, encoded, say);
            }
            Fact::AccessChanged(_) => self.say_update(side, &chat, None, encoded, say),
            Fact::ReadMoved(_) => self.say_unread(side, &chat, encoded, say),
            _ => {}
        }
    }

    fn say_update(
        &self,
        side: Side,
        chat: &EventChat,
        news: Option<&Arc<Message>>,
        encoded: &mut Encoded,
        say: &mut dyn FnMut(Frame),
    ) {
        let key = match (self.framing, side) {
            (Framing::SocketIo, Side::Owner) => "marketplace:owner",
            (Framing::SocketIo, Side::Guest) => "marketplace:guest",
            (Framing::Raw, Side::Owner) => "marketplace:raw:owner",
            (Framing::Raw, Side::Guest) => "marketplace:raw:guest",
        };
        let frame = encoded.once(key, || {
            let body = answers::chat_updates(side, chat, news.map(|news| &**news));
            Some(self.framing.frame(CHAT_UPDATES, body))
        });
        frame.into_iter().for_each(say);
    }

    fn say_unread(
        &self,
        side: Side,
        chat: &EventChat,
        encoded: &mut Encoded,
        say: &mut dyn FnMut(Frame),
    ) {
        let key = match (self.framing, side) {
            (Framing::SocketIo, Side::Owner) => "marketplace:owner:unread",
            (Framing::SocketIo, Side::Guest) => "marketplace:guest:unread",
            (Framing::Raw, Side::Owner) => "marketplace:raw:owner:unread",
            (Framing::Raw, Side::Guest) => "marketplace:raw:guest:unread",
        };
        let frame = encoded.once(key, || {
            let body = answers::chat_unread(side, chat);
            Some(self.framing.frame(CHAT_UNREAD, body))
        });
        frame.into_iter().for_each(say);
    }

    fn begin(&self, market: &Marketplace, say: &mut dyn FnMut(Frame)) {
        let body = answers::initial_data(self.user, market);
        let first = self.framing.frame(INITIAL_DATA, body);
        let talks = market.talks.iter();
        let mut known = talks
            .map(|EventTalk { chat, .. }| {
                let told = Told {
                    shown: chat.standing.head,
                    standing: chat.standing,
                };
                (chat.chat, told)
            })
            .collect();
        // Whoever tells meanwhile waits here, so nothing comes before what is said first.
        let mut phase = self.phase.lock();
        let Phase::Entering(held) = &mut *phase else {
            return;
        };
        if held.len() >= HELD {
            held.clear();
            return;
        }
        say(first);
        for notice in std::mem::take(held) {
            self.pass_on(&mut known, &notice, &mut Encoded::default(), say);
        }
        *phase = Phase::Inside(known);
    }
}

/// The chat as it stands by this report and what was told already, which is noted.
fn present(known: &mut Known, chat: &Arc<EventChat>) -> Arc<EventChat> {
    let told = known.entry(chat.chat).or_insert(Told {
        shown: 0,
        standing: chat.standing,
    });
    told.standing.merge(chat.standing);
    if told.standing == chat.standing {
        return Arc::clone(chat);
    }
    Arc::new(EventChat {
        standing: told.standing,
        ..EventChat::clone(chat)
    })
}

impl Listener for Visitor {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        let _voice = self.voice.lock();
        match &mut *self.phase.lock() {
            Phase::Entering(held) if held.len() < HELD => {
                if notice.fact.event_chat().is_some() {
                    held.push(notice.clone());
                }
            }
            Phase::Entering(_) => {}
            Phase::Inside(known) => self.pass_on(known, notice, encoded, say),
        }
    }

    fn quiet(&self) -> Option<MutexGuard<'_, ()>> {
        Some(self.voice.lock())
    }

    fn opening(&self) -> Option<Command> {
        let entering = matches!(*self.phase.lock(), Phase::Entering(_));
        entering.then_some(Command::EnterMarketplace)
    }

    fn opened(&self, reply: Reply, say: &mut dyn FnMut(Frame)) {
        if let Reply::Marketplace(market) = reply {
            self.begin(&market, say);
        }
    }
}
