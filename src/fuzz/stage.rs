//! What a service says that agrees to everything, so that answers are made of whatever was
//! asked.
//! It refuses to remember anything, and to play any part in tests of what is right.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Chat, ChatId, ChatPk, ChatRef, Command, Draft, Joined, Message, MessageId, MessagePage,
    NewUser, Policy, Profile, Reads, Reply, Room, Sent, User, UserId,
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
    let new = NewUser {
        id: UserId::from_bytes([1; 16]),
        external_id: "anna".to_owned(),
        profile: Profile::default(),
        at: Timestamp::UNIX_EPOCH,
    };
    Arc::new(new.into_user(1))
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
            name: None,
            policy: Policy::Open,
            owner: Some(1),
            team: None,
            event: None,
            members: vec![user.id],
            head: 0,
            created_at: Timestamp::UNIX_EPOCH,
            modified_at: Timestamp::UNIX_EPOCH,
            active_at: Timestamp::UNIX_EPOCH,
        },
        members: vec![user],
        messages: Vec::new(),
    }
}

fn message(pk: ChatPk, draft: &Draft) -> Message {
    Message {
        id: MessageId::from_bytes([1; 16]),
        chat: room(pk).chat.id,
        chat_pk: pk,
        seq: 1,
        sender: user(),
        kind: draft.kind.clone(),
        text: draft.text.clone(),
        photos: draft.photos.clone(),
        client_id: draft.client_id.clone(),
        sent_as_read: draft.sent_as_read,
        event_chat: None,
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
    }
}
