//! The rights in the chat of an event, whose two members are fixed, and those without a chat.

use serde_json::{Value, json};

use super::matrix::{Cell, Role};
use super::scene::World;
use super::tries::{self, call, cell, exchange, outcome, raw_session};
use crate::gateway::dialect::fixtures::frame;
use crate::model::{
    Access, ChatChange, ChatId, ChatRef, Command, Draft, EventDetails, EventPk, History, Identity,
    MemberRole, Positions, Range, Reply, SanctionTerm, UserId, Window,
};

/// The columns.
pub(super) const NAMES: [&str; 4] = ["stranger", "guest", "event's owner", "service"];

/// An operation in the chat of an event, and its outcome for each of [`NAMES`].
pub(super) struct Row {
    operation: Operation,
    /// As the document has it.
    pub(super) name: &'static str,
    letters: &'static str,
    /// The dialects that have it, and REST.
    pub(super) via: &'static str,
}

impl Row {
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        self.letters.chars().map(Cell::of)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    History,
    Send,
    ReadOn,
    Grant,
    Join,
    Leave,
    Add,
    Remove,
    Change,
    Delete,
    SetRole,
    Mute,
    Ban,
    ListBans,
}

use Operation as O;

const fn row(
    operation: Operation,
    name: &'static str,
    letters: &'static str,
    via: &'static str,
) -> Row {
    Row {
        operation,
        name,
        letters,
        via,
    }
}

/// The rights.
pub(super) const ROWS: [Row; 14] = [
    row(O::History, "read the history", "N+++", "marketplace"),
    row(O::Send, "send a message", "N++F", "marketplace"),
    row(
        O::ReadOn,
        "move the own read position",
        "N++F",
        "marketplace",
    ),
    row(
        O::Grant,
        "decide about an application",
        "NF++",
        "marketplace, REST",
    ),
    row(O::Join, "join", "N++N", "action, type"),
    row(O::Leave, "leave", "NFFN", "action"),
    row(O::Add, "add a user", "NFFF", "REST"),
    row(O::Remove, "remove the guest", "NFFF", "REST"),
    row(
        O::Change,
        "change the name or the team",
        "N+++",
        "action, REST",
    ),
    row(O::Delete, "delete the chat", "NF++", "action, REST"),
    row(O::SetRole, "change a role", "NFFF", "event-name, REST"),
    row(O::Mute, "mute the guest", "NFFF", "event-name, REST"),
    row(O::Ban, "ban the guest", "NFFF", "event-name, REST"),
    row(O::ListBans, "list the bans", "NFF+", "REST"),
];

/// The chat of an event.
struct Chat {
    event: EventPk,
    id: ChatId,
    guest: UserId,
}

impl Chat {
    /// The guest has applied for access.
    async fn open(world: &World, owner: UserId, guest: UserId) -> Self {
        let service = world.identity(Role::Service, world.of(Role::Service));
        let details = EventDetails {
            name: "Picnic".into(),
            ..EventDetails::default()
        };
        let (user, key) = (Some(guest), None);
        let create = Command::CreateEvent {
            pk: None,
            owner: owner.into(),
            details,
            key,
        };
        let Reply::Event(event) = world.execute(&service, create).await else {
            panic!("no event")
        };
        let (event, draft) = (event.pk, Some(Draft::text("hello")));
        let apply = Command::RequestAccess { user, event, draft };
        let Reply::EventChat(opened) = world.execute(&service, apply).await else {
            panic!("no chat")
        };
        Self {
            event,
            id: opened.chat.chat,
            guest,
        }
    }

    fn command(&self, world: &World, operation: Operation) -> Command {
        let (chat, guest) = (ChatRef::Id(self.id), self.guest);
        let term = SanctionTerm::Endless;
        match operation {
            O::History => Command::ListMessages {
                user: None,
                chat,
                history: History {
                    range: Range::default(),
                    window: Window::Last(10),
                },
                positions: Positions::Omitted,
            },
            O::Send => Command::SendMessage {
                user: None,
                chat,
                draft: Draft::text("hello"),
            },
            O::ReadOn => Command::MarkRead {
                user: None,
                chat,
                seq: 1,
            },
            O::Grant => Command::GrantAccess {
                chat,
                access: Access::Granted,
            },
            O::Join => Command::JoinChat { chat, read: None },
            O::Leave => Command::LeaveChat { chat },
            O::Add => Command::AddMembers {
                chat,
                users: vec![world.outsider.into()],
            },
            O::Remove => Command::RemoveMember { chat, user: guest },
            O::Change => Command::ChangeChat {
                chat,
                change: ChatChange {
                    policy: None,
                    name: Some("Dinner".into()),
                    team: None,
                },
            },
            O::Delete => Command::DeleteChat { chat },
            O::SetRole => Command::SetRole {
                chat,
                user: guest.into(),
                role: MemberRole::Reader,
            },
            O::Mute => Command::MuteUser {
                chat,
                user: guest.into(),
                term,
            },
            O::Ban => Command::BanUser {
                chat,
                user: guest.into(),
                term,
            },
            O::ListBans => Command::ListBans { chat },
        }
    }

    /// The request in the marketplace dialect.
    fn event(&self, operation: Operation) -> Option<Value> {
        let id = self.id;
        let (name, data) = match operation {
            O::History => ("load_history", json!({"chatId": id, "lastMessageId": 2})),
            O::Send => {
                let data = json!({"chatId": id, "message": {"text": "hello"}});
                ("send_message", data)
            }
            O::ReadOn => {
                let data = json!({"chatId": id, "lastReadedMessageId": 1});
                ("read_messages", data)
            }
            O::Grant => ("grant_access", json!({"chatId": id, "granted": true})),
            _ => return None,
        };
        Some(json!({"event": name, "data": data}))
    }

    /// The call of the REST API.
    fn call(&self, operation: Operation, world: &World) -> Option<(&'static str, String, Value)> {
        let (chat, guest) = (format!("/chats/{}", self.id), self.guest);
        let seconds = || json!({"seconds": null});
        Some(match operation {
            O::Grant => {
                let path = format!("/events/{}/chats/{}/access", self.event, self.id);
                ("PUT", path, json!({"granted": true}))
            }
            O::Add => {
                let users = json!({"users": [world.outsider]});
                ("POST", format!("{chat}/members"), users)
            }
            O::Remove => ("DELETE", format!("{chat}/members/{guest}"), Value::Null),
            O::Change => ("PATCH", chat, json!({"name": "Dinner"})),
            O::Delete => ("DELETE", chat, Value::Null),
            O::SetRole => {
                let role = json!({"role": "reader"});
                ("PUT", format!("{chat}/members/{guest}/role"), role)
            }
            O::Mute => ("PUT", format!("{chat}/mutes/{guest}"), seconds()),
            O::Ban => ("PUT", format!("{chat}/bans/{guest}"), seconds()),
            O::ListBans => ("GET", format!("{chat}/bans"), Value::Null),
            _ => return None,
        })
    }
}

/// The outcome in each way there is.
async fn attempts(
    world: &World,
    parties: [UserId; 4],
    column: usize,
    operation: Operation,
) -> Vec<Cell> {
    let [_, guest, owner, _] = parties;
    let role = match column {
        3 => Role::Service,
        _ => Role::Member,
    };
    let identity = world.identity(role, parties[column]);
    let mut found = Vec::new();
    let chat = Chat::open(world, owner, guest).await;
    let command = chat.command(world, operation);
    let reply = world.service().execute(&identity, command).await;
    found.push(cell(reply.err().as_ref()));
    let chat = Chat::open(world, owner, guest).await;
    if let Some(event) = chat.event(operation) {
        found.push(marketplace(world, &identity, &event).await);
    }
    let chat = Chat::open(world, owner, guest).await;
    if let Some((method, path, body)) = chat.call(operation, world) {
        let (router, token) = match role {
            Role::Service => (&world.jwt_rest, &*world.service_token),
            _ => (&world.open_rest, world.token(parties[column])),
        };
        let body = Some(body).filter(|body| !body.is_null());
        found.push(call(router, token, method, &path, body).await);
    }
    found
}

async fn marketplace(world: &World, identity: &Identity, event: &Value) -> Cell {
    let session = raw_session(world, identity, "/ws/events");
    if let Some(command) = session.opening() {
        let reply = world.execute(identity, command).await;
        session.opened(reply, &mut |_| {});
    }
    let incoming = frame(&event.to_string());
    outcome(&exchange(world, &session, identity, incoming).await)
}

#[tokio::test]
async fn the_chat_of_an_event_is_of_two() {
    let world = World::open().await;
    let parties = [Role::Stranger, Role::Member, Role::Owner, Role::Service];
    let parties = parties.map(|role| world.of(role));
    let mut wrong = Vec::new();
    for row in ROWS {
        for (column, expected) in row.cells().enumerate() {
            for found in attempts(&world, parties, column, row.operation).await {
                if found != expected {
                    let name = NAMES[column];
                    wrong.push(format!("{}, {name}: {found:?}, not {expected:?}", row.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.close().await;
}

#[tokio::test]
async fn only_the_host_application_reads_the_audit_log_and_revokes_tokens() {
    let world = World::open().await;
    let user = world.member;
    let revoke = format!("/users/{user}/revoke");
    for (role, expected) in [
        (Role::Stranger, Cell::Forbidden),
        (Role::Owner, Cell::Forbidden),
        (Role::Service, Cell::Yes),
    ] {
        let identity = world.identity(role, world.of(role));
        let audit = Command::ListAudit {
            filter: crate::model::AuditFilter::default(),
            after: None,
            limit: None,
        };
        let revocation = Command::RevokeTokens {
            user: crate::model::UserRef::Id(user),
            before: None,
        };
        for command in [audit, revocation] {
            let reply = world.service().execute(&identity, command).await;
            assert_eq!(tries::cell(reply.err().as_ref()), expected, "{role:?}");
        }
        let (router, token) = match role {
            Role::Service => (&world.jwt_rest, &*world.service_token),
            _ => (&world.open_rest, world.token(world.of(role))),
        };
        let calls = [("GET", "/audit", None), ("POST", &*revoke, Some(json!({})))];
        for (method, path, body) in calls {
            let found = call(router, token, method, path, body).await;
            assert_eq!(found, expected, "{role:?} {path}");
        }
    }
    world.close().await;
}
