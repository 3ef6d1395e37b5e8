//! How each operation is requested: as a command, in each dialect that has it, and over REST.
//! Does not know the outcome.

use serde_json::{Value, json};

use super::matrix::{Operation as O, Role};
use super::scene::{Scene, World};
use crate::model::{
    ChatChange, ChatRef, Command, Draft, History, MemberRole, PageBudget, Positions, Range,
    SanctionTerm, UserId, Window,
};

/// The ways to request an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// The service itself.
    Command,
    EventName,
    Action,
    Type,
    Rest,
}

impl Via {
    pub(super) const ALL: [Self; 5] = [
        Self::Command,
        Self::EventName,
        Self::Action,
        Self::Type,
        Self::Rest,
    ];

    /// As the document has it; `None`: no way of clients.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Command => None,
            Self::EventName => Some("event-name"),
            Self::Action => Some("action"),
            Self::Type => Some("type"),
            Self::Rest => Some("REST"),
        }
    }
}

/// One request of one operation.
pub(super) enum Request {
    Command(Command),
    /// The text of a frame.
    Frame(String),
    Rest {
        method: &'static str,
        path: String,
        body: Option<Value>,
    },
}

/// The user on which an operation acts, and how.
enum OnUser {
    Add(UserId),
    Remove(UserId),
    Role(UserId, MemberRole),
    Mute(UserId, SanctionTerm),
    Ban(UserId, SanctionTerm),
}

/// The request for `operation` in this way, by the user `actor` of this role; `None`: there is none.
pub(super) fn request(
    world: &World,
    scene: &Scene,
    operation: O,
    role: Role,
    actor: UserId,
    via: Via,
) -> Option<Request> {
    if let Some(act) = on_user(world, operation) {
        return on_user_request(scene, &act, via);
    }
    match via {
        // The command is of REST alone.
        Via::Command if operation == O::ListedAmongAll => None,
        Via::Command => Some(Request::Command(command(scene, operation, actor))),
        Via::EventName => event_name(scene, operation, actor),
        Via::Action => action(scene, operation),
        Via::Type => type_data(scene, operation),
        Via::Rest => rest(scene, operation, role, actor),
    }
}

fn on_user(world: &World, operation: O) -> Option<OnUser> {
    let (term, lifted) = (SanctionTerm::Seconds(60), SanctionTerm::Lifted);
    let World {
        creator,
        member,
        moderator,
        owner,
        muted,
        outsider,
        banned,
        ..
    } = *world;
    Some(match operation {
        O::Add => OnUser::Add(outsider),
        O::AddBanned => OnUser::Add(banned),
        O::RemoveMember => OnUser::Remove(member),
        O::RemoveModerator => OnUser::Remove(moderator),
        O::RemoveOwner => OnUser::Remove(owner),
        O::RemoveCreator => OnUser::Remove(creator),
        O::MakeReader => OnUser::Role(member, MemberRole::Reader),
        O::MakeStrangerReader => OnUser::Role(outsider, MemberRole::Reader),
        O::MakeModerator => OnUser::Role(member, MemberRole::Moderator),
        O::DemoteModerator => OnUser::Role(moderator, MemberRole::Member),
        O::DemoteOwner => OnUser::Role(owner, MemberRole::Member),
        O::DemoteCreator => OnUser::Role(creator, MemberRole::Member),
        O::MuteMember => OnUser::Mute(member, term),
        O::MuteModerator => OnUser::Mute(moderator, term),
        O::MuteOwner => OnUser::Mute(owner, term),
        O::MuteCreator => OnUser::Mute(creator, term),
        O::MuteStranger => OnUser::Mute(outsider, term),
        O::LiftMute => OnUser::Mute(muted, lifted),
        O::BanStranger => OnUser::Ban(outsider, term),
        O::BanMember => OnUser::Ban(member, term),
        O::BanModerator => OnUser::Ban(moderator, term),
        O::BanOwner => OnUser::Ban(owner, term),
        O::BanCreator => OnUser::Ban(creator, term),
        O::LiftBan => OnUser::Ban(banned, lifted),
        _ => return None,
    })
}

fn on_user_request(scene: &Scene, act: &OnUser, via: Via) -> Option<Request> {
    let chat = ChatRef::Id(scene.chat);
    let id = scene.chat;
    let seconds = |term: SanctionTerm| if term == SanctionTerm::Lifted { 0 } else { 60 };
    let sanction = |user: UserId, term| {
        let seconds: i64 = seconds(term);
        json!({"room": id, "user": {"id": user}, "seconds": seconds})
    };
    Some(match via {
        Via::Command => Request::Command(match *act {
            OnUser::Add(user) => {
                let users = vec![user];
                Command::AddMembers { chat, users }
            }
            OnUser::Remove(user) => Command::RemoveMember { chat, user },
            OnUser::Role(user, role) => Command::SetRole { chat, user, role },
            OnUser::Mute(user, term) => Command::MuteUser { chat, user, term },
            OnUser::Ban(user, term) => Command::BanUser { chat, user, term },
        }),
        Via::EventName => match *act {
            OnUser::Role(user, role) => event(
                "set-role",
                &json!({"chat": {"id": id}, "user": {"id": user}, "role": role.name()}),
            ),
            OnUser::Mute(user, term) => event("mute-user", &sanction(user, term)),
            OnUser::Ban(user, term) => event("ban-user", &sanction(user, term)),
            OnUser::Add(_) | OnUser::Remove(_) => return None,
        },
        Via::Rest => {
            let (method, path, body) = match *act {
                OnUser::Add(user) => ("POST", "members".into(), Some(json!({"users": [user]}))),
                OnUser::Remove(user) => ("DELETE", format!("members/{user}"), None),
                OnUser::Role(user, role) => {
                    let body = json!({"role": role.name()});
                    ("PUT", format!("members/{user}/role"), Some(body))
                }
                OnUser::Mute(user, term) => put_or_delete(format!("mutes/{user}"), term),
                OnUser::Ban(user, term) => put_or_delete(format!("bans/{user}"), term),
            };
            let path = format!("/chats/{id}/{path}");
            Request::Rest { method, path, body }
        }
        Via::Action | Via::Type => return None,
    })
}

fn put_or_delete(path: String, term: SanctionTerm) -> (&'static str, String, Option<Value>) {
    match term {
        SanctionTerm::Lifted => ("DELETE", path, None),
        _ => ("PUT", path, Some(json!({"seconds": 60}))),
    }
}

fn command(scene: &Scene, operation: O, actor: UserId) -> Command {
    let chat = ChatRef::Id(scene.chat);
    let draft = || Draft::text("hello");
    match operation {
        O::History => Command::ListMessages {
            user: None,
            chat,
            history: History {
                range: Range::default(),
                window: Window::Last(10),
            },
            positions: Positions::Included,
        },
        O::Listed => Command::ListRooms {
            limit: None,
            before: None,
        },
        O::Room => Command::ListMembers { chat },
        O::Watch => Command::GetRoom { chat, messages: 10 },
        O::Sync => Command::Sync {
            user: None,
            chats: vec![(chat, 0.into())],
            until: std::collections::HashMap::new(),
            budget: PageBudget::RESPONSE,
        },
        O::Send => Command::SendMessage {
            user: None,
            chat,
            draft: draft(),
        },
        O::SendFor => Command::SendMessage {
            user: Some(actor),
            chat,
            draft: draft(),
        },
        O::ReadOn => Command::MarkRead {
            user: None,
            chat,
            seq: 1,
        },
        O::Join => Command::JoinChat { chat, read: None },
        O::Leave => Command::LeaveChat { chat },
        O::Change => Command::ChangeChat {
            chat,
            change: ChatChange {
                name: Some("Dinner".into()),
                team: None,
            },
        },
        O::Delete => Command::DeleteChat { chat },
        O::ListBans => Command::ListBans { chat },
        other => panic!("{other:?}"),
    }
}

fn event(name: &str, body: &Value) -> Request {
    Request::Frame(json!([name, body]).to_string())
}

fn event_name(scene: &Scene, operation: O, actor: UserId) -> Option<Request> {
    let id = scene.chat.to_string();
    Some(match operation {
        O::History => event("list-messages", &json!({"chat": {"id": id}})),
        O::Sync => event("sync", &json!({"chats": {id: 0}})),
        O::Send => event("new-message", &json!({"room": id, "msg": "hello"})),
        O::SendFor => {
            let body = json!({"room": id, "msg": "hello", "user": {"id": actor}});
            event("new-message", &body)
        }
        _ => return None,
    })
}

fn action(scene: &Scene, operation: O) -> Option<Request> {
    let pk = scene.pk;
    let body = match operation {
        O::Listed => json!({"action": "list"}),
        O::History | O::Room => json!({"action": "retrieve", "pk": pk}),
        O::Watch => json!({"action": "subscribe_instance", "pk": pk, "request_id": 1}),
        O::Sync => json!({"action": "sync", "chats": {pk.to_string(): 0}}),
        O::Send => json!({"action": "create_message", "pk": pk, "message": "hello"}),
        O::Join => json!({"action": "join_room", "pk": pk}),
        O::Leave => json!({"action": "leave_room", "pk": pk}),
        O::Change => json!({"action": "patch", "pk": pk, "data": {"name": "Dinner"}}),
        O::Delete => json!({"action": "delete", "pk": pk}),
        _ => return None,
    };
    Some(Request::Frame(body.to_string()))
}

fn type_data(scene: &Scene, operation: O) -> Option<Request> {
    let pk = scene.pk;
    let (kind, data) = match operation {
        O::History => ("getChatMessages", json!({"chatId": pk})),
        O::Room => ("getChatDetails", json!({"chatId": pk})),
        O::Sync => ("sync", json!({"chats": {pk.to_string(): 0}})),
        O::Send => ("newMessage", json!({"chat": pk, "text": "hello"})),
        O::Join => ("joinChat", json!({"chat": pk})),
        _ => return None,
    };
    let frame = json!({"type": kind, "data": data});
    Some(Request::Frame(frame.to_string()))
}

fn rest(scene: &Scene, operation: O, role: Role, actor: UserId) -> Option<Request> {
    if operation == O::ListedAmongAll {
        // The page that begins with the chat.
        let cursor = match scene.pk {
            1 => String::new(),
            pk => format!("&cursor=c{}", pk - 1),
        };
        return Some(Request::Rest {
            method: "GET",
            path: format!("/chats?limit=1{cursor}"),
            body: None,
        });
    }
    let (method, path, body) = match operation {
        O::History => ("GET", "/messages", None),
        O::Room => ("GET", "/members", None),
        O::Watch => ("GET", "", None),
        // A service names the sender.
        O::Send if role == Role::Service => (
            "POST",
            "/messages",
            Some(json!({"userId": actor, "text": "hello"})),
        ),
        O::Send => ("POST", "/messages", Some(json!({"text": "hello"}))),
        O::SendFor => (
            "POST",
            "/messages",
            Some(json!({"userId": actor, "text": "hello"})),
        ),
        O::Change => ("PATCH", "", Some(json!({"name": "Dinner"}))),
        O::Delete => ("DELETE", "", None),
        O::ListBans => ("GET", "/bans", None),
        _ => return None,
    };
    let path = format!("/chats/{}{path}", scene.chat);
    Some(Request::Rest { method, path, body })
}
