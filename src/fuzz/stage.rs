//! What a service says that agrees to everything, so that answers are made of whatever was
//! asked.
//! It refuses to remember anything, and to play any part in tests of what is right.

use std::sync::Arc;

use crate::model::{
    Chat, ChatId, ChatPk, ChatRef, Command, Draft, Joined, Message, MessagePage, Policy, Reads,
    Reply, Room, Sent, User,
};

/// The reply to this command. `None`: none is needed.
pub fn agree(command: &Command) -> Option<Reply> {
    Some(match command {
        Command::ListMyRooms | Command::ListRooms => Reply::Rooms(vec![room(1)]),
        Command::CreateRoom { name, team } => {
            let mut room = room(1);
            (room.chat.name, room.chat.team) = (name.clone(), *team);
            Reply::Room(room)
        }
        Command::GetRoom { chat, .. } | Command::ChangeChat { chat, .. } => {
            Reply::Room(room(pk(*chat)))
        }
        Command::DeleteChat { chat } => Reply::Deleted(room(pk(*chat)).chat.id),
        Command::JoinChat { chat, .. } => Reply::Joined(Joined {
            fresh: true,
            room: room(pk(*chat)),
            user: user(),
        }),
        Command::LeaveChat { chat } => Reply::Left(room(pk(*chat)).chat.id),
        Command::SendMessage { chat, draft, .. } => {
            Reply::Sent(Sent::Stored(Arc::new(message(pk(*chat), draft))))
        }
        Command::ListMessages { .. } => Reply::Messages(MessagePage::default(), Reads::default()),
        _ => return None,
    })
}

fn pk(chat: ChatRef) -> ChatPk {
    match chat {
        ChatRef::Pk(pk) => pk,
        ChatRef::Id(_) | ChatRef::OfEvent(_) => 1,
    }
}

fn user() -> Arc<User> {
    Arc::new(User::example())
}

/// The room of this number, with one member.
pub fn room(pk: ChatPk) -> Room {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&pk.to_be_bytes());
    let user = user();
    Room {
        chat: Chat {
            id: ChatId::from_bytes(id),
            pk,
            policy: Policy::Open,
            owner: Some(1),
            members: vec![user.id],
            ..Chat::example()
        },
        members: vec![user],
        messages: Vec::new(),
    }
}

fn message(pk: ChatPk, draft: &Draft) -> Message {
    Message {
        chat: room(pk).chat.id,
        chat_pk: pk,
        ..Message::example_of(draft.clone())
    }
}
