//! The operations of the host application: chats, members, names and messages.
//! Does not judge.

use std::sync::Arc;

use super::frames::{name_of, text_of};
use super::random::Random;
use super::record::{Act, ChatNo, HOST_MEMBER, OpNo, Outcome, USERS, UserNo};
use super::world::World;
use crate::model::{
    ChatChange, ChatChoice, ChatRef, Command, Draft, EventDetails, Identity, Policy, Reply, Rights,
};

/// How many chats of each kind there are: closed ones, open ones, and events with two chats each.
const CLOSED: usize = 4;
const OPEN: usize = 2;
const EVENTS: usize = 2;

impl World {
    /// Creates all chats.
    pub(super) async fn populate(self: &Arc<Self>) {
        let mut random = Random::new(0, 3);
        for _ in 0..CLOSED {
            self.create_closed(&mut random).await;
        }
        for _ in 0..OPEN {
            self.create_open().await;
        }
        for _ in 0..EVENTS {
            self.create_event(&mut random).await;
        }
    }

    /// Deletes a chat, an event's with the event, and creates another in its place.
    pub(super) fn replace(self: &Arc<Self>, random: &mut Random, chat: ChatNo) {
        let event = self.events.lock().get(&chat).copied();
        let policy = {
            let state = self.ledger.state();
            state.chats[chat].policy
        };
        let chats: Vec<_> = match event {
            Some(event) => {
                let events = self.events.lock();
                if events.values().all(|of| *of == event) {
                    return;
                }
                let chats = events.iter().filter(|(_, of)| **of == event);
                chats.map(|(chat, _)| *chat).collect()
            }
            None => vec![chat],
        };
        let mut places = self.places.lock();
        if places.len() <= chats.len() + 2 {
            return;
        }
        places.retain(|place| !chats.contains(place));
        drop(places);
        self.events.lock().retain(|chat, _| !chats.contains(chat));
        let begin = |chat: &ChatNo| self.ledger.begin(Act::Delete, Some(*chat), None, None);
        let ops: Vec<_> = chats.iter().map(begin).collect();
        let id = self.ledger.state().chats[chat].id;
        let (id, _) = id.expect("a chat in use is created");
        let command = match event {
            Some(event) => Command::DeleteEvent { event },
            None => Command::DeleteChat {
                chat: ChatRef::Id(id),
            },
        };
        let chat_seed = u64::try_from(random.below(1 << 20)).expect("a small number");
        let (world, mut random) = (Arc::clone(self), Random::new(2, chat_seed));
        self.work.spawn(async move {
            let reply = world.node.host(command).await;
            for op in ops {
                world.ledger.finish_with(op, &reply);
            }
            match (event, policy) {
                (Some(_), _) => world.create_event(&mut random).await,
                (None, Policy::Closed) => world.create_closed(&mut random).await,
                (None, Policy::Open) => world.create_open().await,
            }
        });
    }

    /// The host application sends a message of a user.
    pub(super) fn send(self: &Arc<Self>, user: UserNo, chat: ChatNo) {
        let op = self.ledger.begin(Act::Send, Some(chat), Some(user), None);
        let sender = Some(self.node.users[user]);
        self.host(op, chat, move |chat| Command::SendMessage {
            user: sender.map(Into::into),
            chat,
            draft: Draft::text(text_of(op)),
        });
    }

    pub(super) fn rename(self: &Arc<Self>, chat: ChatNo) {
        let op = self.ledger.begin(Act::Rename, Some(chat), None, None);
        self.host(op, chat, move |chat| Command::ChangeChat {
            chat,
            change: ChatChange {
                policy: None,
                name: Some(name_of(op)),
                team: None,
            },
        });
    }

    /// The host application adds or removes a member, or the user joins or leaves.
    pub(super) fn change_member(self: &Arc<Self>, user: UserNo, chat: ChatNo, adds: bool) {
        let act = if adds {
            Act::Add(user)
        } else {
            Act::Remove(user)
        };
        let op = self.ledger.begin(act, Some(chat), Some(user), None);
        let user = self.node.users[user];
        self.host(op, chat, move |chat| {
            if adds {
                let users = vec![user.into()];
                Command::AddMembers { chat, users }
            } else {
                Command::RemoveMember { chat, user }
            }
        });
    }

    /// Executes a command of the host application on a chat.
    fn host(self: &Arc<Self>, op: usize, chat: ChatNo, command: impl FnOnce(ChatRef) -> Command) {
        let (id, removes) = {
            let state = self.ledger.state();
            let removes = matches!(state.ops[op].act, Act::Remove(_));
            (state.chats[chat].id, removes)
        };
        let Some((id, _)) = id else {
            return self.ledger.finish(op, Outcome::Refused(None), None);
        };
        let command = command(ChatRef::Id(id));
        let world = Arc::clone(self);
        self.work.spawn(async move {
            let reply = world.node.host(command).await;
            world.ledger.finish_with(op, &reply);
            let begun = world.ledger.tick();
            if reply.is_err() {
                return;
            }
            if removes {
                // Removed users must not notice these.
                world.send(HOST_MEMBER, chat);
                world.rename(chat);
            }
            if let Some(head) = world.node.head(id).await {
                world.ledger.head(chat, head, begun);
            }
        });
    }

    fn new_chat(&self, policy: Policy, of_event: bool, members: Vec<UserNo>) -> (ChatNo, OpNo) {
        let chat = self.ledger.chat(policy, of_event);
        let op = self
            .ledger
            .begin(Act::Create(members), Some(chat), None, None);
        (chat, op)
    }

    async fn create_closed(self: &Arc<Self>, random: &mut Random) {
        let others = (1..USERS).filter(|_| random.one_in(2));
        let members: Vec<_> = [HOST_MEMBER].into_iter().chain(others).collect();
        let (chat, op) = self.new_chat(Policy::Closed, false, members.clone());
        let members = members.iter().map(|user| self.node.users[*user].into());
        let create = Command::CreateChat {
            chosen: ChatChoice::default(),
            name: Some(name_of(op)),
            members: members.collect(),
            key: None,
        };
        match self.node.host(create).await {
            Ok(Reply::Chat(made)) => self.ledger.created(chat, made.id, made.pk),
            other => panic!("{other:?}"),
        }
        self.ledger.finish(op, Outcome::Done, None);
        self.places.lock().push(chat);
    }

    async fn create_open(self: &Arc<Self>) {
        let (chat, op) = self.new_chat(Policy::Open, false, Vec::new());
        let create = Command::CreateRoom {
            name: Some(name_of(op)),
            team: None,
        };
        let owner = self.node.users[HOST_MEMBER];
        let own = Identity {
            user: Some(owner),
            rights: Rights::Own,
            connection: None,
            request: None,
        };
        let id = match self.node.execute(&own, create).await {
            Ok(Reply::Room(room)) => {
                self.ledger.created(chat, room.chat.id, room.chat.pk);
                room.chat.id
            }
            other => panic!("{other:?}"),
        };
        self.ledger.finish(op, Outcome::Done, None);
        let op = self
            .ledger
            .begin(Act::Add(HOST_MEMBER), Some(chat), None, None);
        let add = Command::AddMembers {
            chat: ChatRef::Id(id),
            users: vec![owner.into()],
        };
        let reply = self.node.host(add).await;
        self.ledger.finish_with(op, &reply);
        self.places.lock().push(chat);
    }

    /// An event of one user, with the chats of two guests.
    async fn create_event(self: &Arc<Self>, random: &mut Random) {
        let owner = random.below(USERS);
        let create = Command::CreateEvent {
            pk: None,
            owner: self.node.users[owner].into(),
            details: EventDetails {
                name: "an event".to_owned(),
                ..EventDetails::default()
            },
            key: None,
        };
        let event = match self.node.host(create).await {
            Ok(Reply::Event(event)) => event.pk,
            other => panic!("{other:?}"),
        };
        let mut opened = Vec::new();
        for guest in [(owner + 1) % USERS, (owner + 2) % USERS] {
            let (chat, op) = self.new_chat(Policy::Closed, true, vec![owner, guest]);
            let open = Command::OpenEventChat {
                chosen: ChatChoice::default(),
                user: Some(self.node.users[guest]),
                event,
            };
            match self.node.host(open).await {
                Ok(Reply::EventChat(found)) => {
                    let found = &found.chat;
                    self.ledger.created(chat, found.chat, found.chat_pk);
                }
                other => panic!("{other:?}"),
            }
            self.ledger.finish(op, Outcome::Done, None);
            opened.push(chat);
        }
        // Not before: the event of a chat that is known may be deleted.
        for chat in opened {
            self.events.lock().insert(chat, event);
            self.places.lock().push(chat);
        }
    }
}
