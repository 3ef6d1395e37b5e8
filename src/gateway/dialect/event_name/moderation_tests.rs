//! Roles, mutes and bans as this dialect spells them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::EventNameSession;
use crate::gateway::dialect::fixtures::{encode, packet, respond, texts};
use crate::gateway::dialect::{Decoded, DialectSession};
use crate::hub::{AckId, SharedEncoding};
use crate::model::{
    ChatId, ChatRef, Command, ConnectionId, Fact, MemberRole, Notice, Reply, RoleChange, Sanction,
    SanctionChange, SanctionTerm, User,
};

const CHAT: &str = "01950000-0000-7000-8000-000000000001";
const OTHER: &str = "01950000-0000-7000-8000-000000000002";

fn chat() -> ChatId {
    CHAT.parse().expect("an id")
}

fn decode(event: &str, body: &Value) -> Result<Command, String> {
    let session = Arc::new(EventNameSession::new(None));
    let text = json!([event, body]).to_string();
    match session.decode(&packet(&text, Some(AckId(1)))) {
        Decoded::Request(command, _) => Ok(command),
        Decoded::Refused(_, frames) => {
            let refusal: Value = serde_json::from_str(&texts(&frames)[0]).expect("JSON");
            Err(refusal["error"]["message"]
                .as_str()
                .expect("a text")
                .to_owned())
        }
    }
}

#[test]
fn requests_name_the_chat_and_the_user() {
    let user = User::example().id;
    let chats = [json!({"room": CHAT}), json!({"chat": {"id": CHAT}})];
    for named in chats {
        let with = |more: Value| {
            let mut body = named.clone();
            body["user"] = json!({"id": user});
            for (name, value) in more.as_object().expect("fields") {
                body[name] = value.clone();
            }
            body
        };
        let chat = ChatRef::Id(chat());
        let role = MemberRole::Moderator;
        let set = decode("set-role", &with(json!({"role": "moderator"})));
        assert_eq!(set, Ok(Command::SetRole { chat, user, role }));
        let terms = [
            (json!({}), SanctionTerm::Endless),
            (json!({"seconds": null}), SanctionTerm::Endless),
            (json!({"seconds": 0}), SanctionTerm::Lifted),
            (json!({"seconds": 60}), SanctionTerm::Seconds(60)),
        ];
        for (seconds, term) in terms {
            let muted = decode("mute-user", &with(seconds.clone()));
            assert_eq!(muted, Ok(Command::MuteUser { chat, user, term }));
            let banned = decode("ban-user", &with(seconds));
            assert_eq!(banned, Ok(Command::BanUser { chat, user, term }));
        }
    }
}

#[test]
fn the_field_at_fault_is_named() {
    let user = User::example().id;
    let of = |body: Value| body;
    let cases = [
        ("set-role", of(json!({})), "room: is missing"),
        ("set-role", of(json!({"room": CHAT})), "user.id: is missing"),
        (
            "set-role",
            of(json!({"room": CHAT, "user": {"id": user}})),
            "role: is missing",
        ),
        (
            "set-role",
            of(json!({"room": CHAT, "user": {"id": user}, "role": "king"})),
            "role: must be reader, member, moderator or owner",
        ),
        (
            "ban-user",
            of(json!({"room": CHAT, "chat": {"id": OTHER}, "user": {"id": user}})),
            "room: is another chat than chat.id",
        ),
        (
            "mute-user",
            of(json!({"room": CHAT, "user": {"id": user}, "seconds": -1})),
            "seconds: must be a whole number of at least 0",
        ),
    ];
    for (event, body, why) in cases {
        assert_eq!(decode(event, &body), Err(why.to_owned()), "{event}");
    }
}

fn sanction(until: Option<i64>) -> Arc<SanctionChange> {
    let until = until.map(|second| Timestamp::from_second(second).expect("a time"));
    Arc::new(SanctionChange {
        chat: chat(),
        user: Arc::new(User::example()),
        sanction: Some(Sanction { until }),
        left: None,
        to_user: true,
        version: 1,
    })
}

/// Changes, the replies about them, the event, and the body of both.
fn changes() -> [(Fact, Reply, &'static str, Value); 4] {
    let user = User::example().id;
    let role = Arc::new(RoleChange {
        chat: chat(),
        user: Arc::new(User::example()),
        role: MemberRole::Reader,
        version: 1,
    });
    let lifted = Arc::new(SanctionChange {
        sanction: None,
        ..(*sanction(None)).clone()
    });
    let end = "1970-01-01T00:01:00.000Z";
    [
        (
            Fact::RoleSet(Arc::clone(&role)),
            Reply::RoleSet(role),
            "set-role",
            json!({"room": CHAT, "user_id": user, "role": "reader"}),
        ),
        (
            Fact::Muted(sanction(Some(60))),
            Reply::Muted(sanction(Some(60))),
            "mute-user",
            json!({"room": CHAT, "user_id": user, "muted": true, "until": end}),
        ),
        (
            Fact::Banned(sanction(None)),
            Reply::Banned(sanction(None)),
            "ban-user",
            json!({"room": CHAT, "user_id": user, "banned": true, "until": null}),
        ),
        (
            Fact::Banned(Arc::clone(&lifted)),
            Reply::Banned(lifted),
            "ban-user",
            json!({"room": CHAT, "user_id": user, "banned": false, "until": null}),
        ),
    ]
}

#[test]
fn a_change_is_acknowledged_and_announced_in_the_same_words() {
    let user = User::example().id;
    for (fact, reply, event, expected) in changes() {
        let own = ConnectionId::new(Timestamp::UNIX_EPOCH);
        let session = Arc::new(EventNameSession::new(Some(own)));
        let notice = |origin| Notice {
            origin,
            fact: fact.clone(),
            durable: None,
        };
        let frames = encode(&*session, &notice(None), &mut SharedEncoding::default());
        let sent: Value = serde_json::from_str(&texts(&frames)[0]).expect("JSON");
        assert_eq!(sent, json!({"event": event, "data": expected}));
        let frames = encode(
            &*session,
            &notice(Some(own.into())),
            &mut SharedEncoding::default(),
        );
        assert!(frames.is_empty(), "the caller has the acknowledgement");
        let request = json!([event, {"room": CHAT, "user": {"id": user}, "role": "reader"}]);
        let decoded = session.decode(&packet(&request.to_string(), Some(AckId(1))));
        let Decoded::Request(_, then) = decoded else {
            panic!("no request")
        };
        let answered = texts(&respond(then, Ok(reply)));
        let answered: Value = serde_json::from_str(&answered[0]).expect("JSON");
        assert_eq!(answered, expected);
    }
}
