//! A small but true service: one event, its owner, and the chats of those who write to them.
//! Does not know frames: it answers commands, and says what it would publish.

use std::sync::Arc;

use super::scene::{chat_id, event, standing, then, user};
use crate::model::{
    Access, ChatRef, Command, Draft, Error, ErrorKind, Event, EventChat, EventPk, EventTalk, Fact,
    History, MarkedRead, Marketplace, Message, MessageId, MessagePage, Reads, Reply, Sent, Seq,
    Side, Touched, User, Window,
};

/// What the service has stored, and what it has published since somebody looked.
pub struct Stage {
    pub people: Vec<Arc<User>>,
    pub published: Vec<Fact>,
    event: Arc<Event>,
    talks: Vec<EventTalk>,
}

impl Stage {
    /// Three people, of whom Olga offers the event 1.
    pub fn set() -> Self {
        let olga = user(1, "Olga", None);
        let gleb = user(2, "Gleb", Some("gleb-uuid"));
        Self {
            event: event(1, &olga),
            people: vec![olga, gleb, user(3, "Vera", None)],
            published: Vec::new(),
            talks: Vec::new(),
        }
    }

    /// Does what this user asks.
    pub fn execute(&mut self, user: &Arc<User>, command: Command) -> Result<Reply, Error> {
        match command {
            Command::EnterMarketplace => Ok(Reply::Marketplace(self.market(user))),
            Command::OpenEventChat { event, .. } => self.open_chat(user, event),
            Command::RequestAccess { event, draft, .. } => self.request_access(user, event, draft),
            Command::GrantAccess { chat, access } => self.grant_access(user, chat, access),
            Command::SendMessage { chat, draft, .. } => {
                check(&draft)?;
                let index = self.visible(user, chat)?;
                Ok(Reply::Sent(self.send(user, index, draft)))
            }
            Command::MarkRead { chat, seq, .. } => self.mark_read(user, chat, seq),
            Command::ListMessages { chat, history, .. } => {
                let index = self.visible(user, chat)?;
                let page = part(&self.talks[index], history);
                Ok(Reply::Messages(page, Reads::default()))
            }
            other => panic!("no request of this dialect: {other:?}"),
        }
    }

    fn market(&self, user: &Arc<User>) -> Marketplace {
        let own = (self.event.owner == *user).then(|| (*self.event).clone());
        let mine = |talk: &&EventTalk| talk.chat.side_of(user.id).is_some();
        let latest = |talk: &EventTalk| {
            let side = talk.chat.side_of(user.id).expect("a side");
            let unread = usize::try_from(talk.chat.standing.unread(side)).expect("a number");
            let skipped = talk.messages.len().saturating_sub(unread.clamp(20, 200));
            EventTalk {
                chat: talk.chat.clone(),
                messages: talk.messages[skipped..].to_vec(),
            }
        };
        let mut talks: Vec<_> = self.talks.iter().filter(mine).map(latest).collect();
        talks.sort_by_key(|talk| std::cmp::Reverse(talk.chat.active_at));
        let own = own.into_iter().collect();
        Marketplace { own, talks }
    }

    fn open_chat(&mut self, user: &Arc<User>, event: EventPk) -> Result<Reply, Error> {
        let (changed, index) = self.opened(user, event)?;
        if changed {
            let chat = self.snapshot(index);
            self.published.push(Fact::EventChatOpened(chat));
        }
        Ok(self.touched(changed, index))
    }

    fn request_access(
        &mut self,
        user: &Arc<User>,
        event: EventPk,
        draft: Option<Draft>,
    ) -> Result<Reply, Error> {
        draft.as_ref().map_or(Ok(()), check)?;
        let (_, index) = self.opened(user, event)?;
        let changed = self.talks[index].chat.standing.access == Access::Unasked;
        if changed {
            self.decide(index, Access::Asked);
        }
        let reply = self.touched(changed, index);
        if let Some(draft) = draft {
            self.send(user, index, draft);
        }
        Ok(reply)
    }

    fn grant_access(
        &mut self,
        user: &Arc<User>,
        chat: ChatRef,
        access: Access,
    ) -> Result<Reply, Error> {
        let index = self.visible(user, chat)?;
        let chat = &self.talks[index].chat;
        if chat.side_of(user.id) != Some(Side::Owner) {
            return Err(Error::forbidden("only the event's owner may grant access"));
        }
        if chat.standing.access == Access::Unasked {
            let why = "the guest has not asked for access";
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        let changed = chat.standing.access != access;
        if changed {
            self.decide(index, access);
        }
        Ok(self.touched(changed, index))
    }

    fn mark_read(&mut self, user: &Arc<User>, chat: ChatRef, seq: Seq) -> Result<Reply, Error> {
        let index = self.visible(user, chat)?;
        let moved = self.advance(user, index, seq);
        let event_chat = self.snapshot(index);
        if moved {
            let fact = Fact::ReadMoved(Arc::clone(&event_chat));
            self.published.push(fact);
        }
        Ok(Reply::Read(MarkedRead {
            chat: event_chat.chat,
            moved,
            event_chat: Some(event_chat),
        }))
    }

    /// The chat of this guest with the owner, and whether it is new.
    fn opened(&mut self, guest: &Arc<User>, event: EventPk) -> Result<(bool, usize), Error> {
        if event != self.event.pk {
            return Err(Error::not_found(format_args!("event {event}")));
        }
        if self.event.owner == *guest {
            return Err(Error::forbidden("the event is your own"));
        }
        let mut talks = self.talks.iter();
        if let Some(index) = talks.position(|talk| talk.chat.guest == *guest) {
            return Ok((false, index));
        }
        let index = self.talks.len();
        let pk = u8::try_from(index + 1).expect("a few chats");
        let chat = EventChat {
            chat: chat_id(pk),
            chat_pk: pk.into(),
            event: Arc::clone(&self.event),
            guest: Arc::clone(guest),
            standing: standing(0, 0, 0),
            active_at: then(),
        };
        let messages = Vec::new();
        self.talks.push(EventTalk { chat, messages });
        Ok((true, index))
    }

    fn visible(&self, user: &Arc<User>, chat: ChatRef) -> Result<usize, Error> {
        let found = self.talks.iter().position(|talk| {
            ChatRef::OfEvent(talk.chat.chat) == chat && talk.chat.side_of(user.id).is_some()
        });
        found.ok_or_else(|| Error::not_found(format_args!("chat {chat}")))
    }

    fn decide(&mut self, index: usize, access: Access) {
        let standing = &mut self.talks[index].chat.standing;
        standing.access = access;
        standing.access_version += 1;
        let chat = self.snapshot(index);
        self.published.push(Fact::AccessChanged(chat));
    }

    /// Moves a read position, never backwards and never past the end.
    fn advance(&mut self, user: &Arc<User>, index: usize, seq: Seq) -> bool {
        let chat = &mut self.talks[index].chat;
        let side = chat.side_of(user.id).expect("a side");
        let position = match side {
            Side::Owner => &mut chat.standing.owner_read,
            Side::Guest => &mut chat.standing.guest_read,
        };
        let seq = seq.min(chat.standing.head);
        let moved = *position < seq;
        *position = seq.max(*position);
        moved
    }

    fn send(&mut self, user: &Arc<User>, index: usize, draft: Draft) -> Sent {
        let talk = &mut self.talks[index];
        let repeated = talk.messages.iter().find(|message| {
            message.sender == *user
                && message.client_id.is_some()
                && message.client_id == draft.client_id
        });
        if let Some(message) = repeated.cloned() {
            return Sent::Repeated(Arc::new(self.present(index, message)));
        }
        talk.chat.standing.head += 1;
        let seq = talk.chat.standing.head;
        let message = Message {
            id: MessageId::from_bytes(i128::from(seq).to_be_bytes()),
            chat: talk.chat.chat,
            chat_pk: talk.chat.chat_pk,
            seq,
            sender: Arc::clone(user),
            created_at: then(),
            modified_at: then(),
            ..Message::example_of(draft)
        };
        self.advance(user, index, seq);
        let message = self.present(index, message);
        self.talks[index].messages.push(message.clone());
        let message = Arc::new(message);
        self.published.push(Fact::MessageSent(Arc::clone(&message)));
        Sent::Stored(message)
    }

    /// The message with how things stand now.
    fn present(&self, index: usize, message: Message) -> Message {
        let event_chat = Some(self.snapshot(index));
        Message {
            event_chat,
            ..message
        }
    }

    fn snapshot(&self, index: usize) -> Arc<EventChat> {
        Arc::new(self.talks[index].chat.clone())
    }

    fn touched(&self, changed: bool, index: usize) -> Reply {
        let chat = self.snapshot(index);
        Reply::EventChat(Touched { changed, chat })
    }
}

/// As much as a service refuses of what this dialect lets through.
fn check(draft: &Draft) -> Result<(), Error> {
    if draft.photos.len() > 20 {
        return Err(Error::too_large("photos", "20 of them"));
    }
    if draft.photos.iter().any(|photo| photo.trim().is_empty()) {
        return Err(Error::invalid("photos", "one of them is empty"));
    }
    Ok(())
}

fn part(talk: &EventTalk, History { range, window }: History) -> MessagePage {
    let Window::Last(limit) = window else {
        panic!("history is read from its end");
    };
    let before = range.before.unwrap_or(Seq::MAX);
    let mut messages = talk.messages.clone();
    messages.retain(|message| message.seq < before);
    let spare = messages.len().saturating_sub(limit);
    MessagePage {
        messages: messages.split_off(spare),
        has_more: spare > 0,
    }
}
