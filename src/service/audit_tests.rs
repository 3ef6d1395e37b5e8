//! Which acts on others are recorded, of whom, and that an act which changes nothing is not.
//! Does not know the moderation of chats: the client tests do.

use serde_json::json;

use super::*;
use crate::fixtures::{BlockingBackend, HOST, identity};
use crate::model::{
    Access, ChatChoice, ChatRef, Command, ConnectionId, EventChange, EventDetails, EventPk,
    Fingerprint, IdempotencyKey, Profile, Rights, UserRef,
};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// A caller without a token, on a connection or over REST.
const fn open(user: Option<UserId>, connection: Option<ConnectionId>) -> Identity {
    Identity {
        user,
        rights: Rights::Open,
        connection,
        request: None,
    }
}

fn named(name: &str) -> Profile {
    Profile {
        name: Some(name.into()),
        ..Profile::default()
    }
}

fn create_user(external_id: &str, profile: Profile) -> Command {
    Command::CreateUser {
        pk: None,
        external_id: Some(external_id.into()),
        profile,
    }
}

/// What was recorded, with the number of the record from which to continue.
struct Log<'a>(&'a BlockingBackend, usize);

/// The actor, the act, the user and the particulars.
type Entry = (Option<UserId>, &'static str, Option<UserId>, Value);

impl Log<'_> {
    fn all(&self) -> Vec<AuditRecord> {
        let all = Command::ListAudit {
            filter: AuditFilter::default(),
            after: None,
            limit: None,
        };
        match self.0.execute(&HOST, all) {
            Ok(Reply::Audit(page)) => page.records,
            other => panic!("{other:?}"),
        }
    }

    /// Executes a command twice: the records of both, and the reply to the first.
    fn of(&mut self, caller: &Identity, command: &Command) -> (Vec<Entry>, Reply) {
        let reply = self.0.execute(caller, command.clone()).expect("done");
        let after_one = self.all().len();
        self.0.execute(caller, command.clone()).expect("done again");
        let all = self.all();
        assert_eq!(all.len(), after_one, "{command:?} is recorded twice");
        let new = all.into_iter().skip(self.1);
        let new = new.map(|it| (it.actor, it.act.name(), it.user, it.detail.into()));
        self.1 = after_one;
        (new.collect(), reply)
    }
}

fn backend() -> (BlockingBackend, [UserId; 2], usize) {
    let backend = BlockingBackend::open(NOW);
    let users = ["anna", "boris"].map(|name| backend.user(name, Profile::default()).id);
    (backend, users, 2)
}

#[test]
fn users_that_others_create_or_change_are_recorded() {
    let (backend, [anna, boris], known) = backend();
    let mut log = Log(&backend, known);
    let (records, reply) = log.of(&HOST, &create_user("vera", named("Vera")));
    let Reply::User(vera) = reply else {
        panic!("{reply:?}")
    };
    let fields = |fields: &[&str]| json!({ "fields": fields });
    let created = (None, "create-user", Some(vera.id), fields(&["name"]));
    assert_eq!(records, [created]);
    let (records, _) = log.of(&HOST, &create_user("vera", named("Vera V.")));
    let changed = (None, "change-user", Some(vera.id), fields(&["name"]));
    assert_eq!(records, std::slice::from_ref(&changed));
    let profile = Profile {
        avatar: Some("/a.jpg".into()),
        image_uuid: Some("image".into()),
        ..named("Vera V.")
    };
    let update = Command::UpdateUser {
        user: UserRef::Id(vera.id),
        profile,
    };
    let (records, _) = log.of(&HOST, &update);
    let given = fields(&["name", "avatar", "imageUUID"]);
    assert_eq!(records, [(None, "change-user", Some(vera.id), given)]);

    // Over REST in open mode: as a user, and without one.
    let (records, _) = log.of(&open(Some(anna), None), &create_user("boris", named("B.")));
    let changed = (Some(anna), "change-user", Some(boris), fields(&["name"]));
    assert_eq!(records, std::slice::from_ref(&changed));
    // On a connection in open mode that is a user's already.
    let connected = open(Some(anna), Some(ConnectionId::new(NOW)));
    let (records, _) = log.of(&connected, &create_user("boris", named("Bob")));
    assert_eq!(records, [changed]);
    let (records, _) = log.of(&open(None, None), &create_user("boris", named("Boris")));
    assert_eq!(records.len(), 1);
}

#[test]
fn the_own_profile_is_not_recorded() {
    let (backend, [anna, _], known) = backend();
    let mut log = Log(&backend, known);
    let connection = ConnectionId::new(NOW);
    let of_service = Identity {
        user: Some(anna),
        ..HOST
    };
    let callers = [
        identity(anna, connection),
        of_service,
        open(Some(anna), None),
        // It becomes this user, or was it already.
        open(None, Some(connection)),
        open(Some(anna), Some(connection)),
    ];
    for (index, caller) in callers.iter().enumerate() {
        let own = create_user("anna", named(&format!("Anna {index}")));
        assert_eq!(log.of(caller, &own).0, []);
    }
    let update = Command::UpdateUser {
        user: UserRef::Id(anna),
        profile: named("A."),
    };
    assert_eq!(log.of(&open(Some(anna), None), &update).0, []);
}

#[test]
fn members_that_others_place_into_a_new_chat_are_recorded() {
    let (backend, [anna, boris], known) = backend();
    let mut log = Log(&backend, known);
    let create = |members: &[UserId], name: &str| Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members: members.iter().copied().map(Into::into).collect(),
        key: Some(IdempotencyKey {
            name: name.into(),
            content: Fingerprint::of(name),
        }),
    };
    let placed = |actor, user| (actor, "add-member", Some(user), json!({ "created": true }));
    let (records, reply) = log.of(&HOST, &create(&[anna, boris], "both"));
    assert_eq!(records, [placed(None, anna), placed(None, boris)]);
    let Reply::Chat(chat) = reply else {
        panic!("{reply:?}")
    };
    let all = log.all();
    assert!(all[known..].iter().all(|it| it.chat == Some(chat.id)));
    let annas = identity(anna, ConnectionId::new(NOW));
    let (records, _) = log.of(&annas, &create(&[boris], "Boris"));
    assert_eq!(records, [placed(Some(anna), boris)]);
    assert_eq!(log.of(&annas, &create(&[], "alone")).0, []);
}

#[test]
fn acts_on_events_and_tokens_are_recorded() {
    let (backend, [anna, boris], known) = backend();
    let mut log = Log(&backend, known);
    let create = Command::CreateEvent {
        pk: None,
        owner: anna.into(),
        details: EventDetails {
            name: "Picnic".into(),
            ..EventDetails::default()
        },
        key: Some(IdempotencyKey {
            name: "once".into(),
            content: Fingerprint::of("once"),
        }),
    };
    let (records, reply) = log.of(&HOST, &create);
    let Reply::Event(event) = reply else {
        panic!("{reply:?}")
    };
    let in_event = json!({ "event": event.pk });
    assert_eq!(
        records,
        [(None, "create-event", Some(anna), in_event.clone())]
    );
    let change = Command::ChangeEvent {
        event: event.pk,
        change: EventChange {
            name: Some("Dinner".into()),
            ..EventChange::default()
        },
    };
    let changed = json!({ "fields": ["name"], "event": event.pk });
    let (records, _) = log.of(&HOST, &change);
    assert_eq!(records, [(None, "change-event", Some(anna), changed)]);

    opened_and_applied_for(&mut log, event.pk, boris, &in_event);

    let of = |external_id: &str| Command::RecordToken {
        external_id: external_id.into(),
        expires_at: NOW,
    };
    for (external_id, user) in [("boris", Some(boris)), ("nobody", None)] {
        backend.execute(&HOST, of(external_id)).expect("recorded");
        let record = log.all().pop().expect("a record");
        let end = "1970-01-01T00:00:00.000Z";
        let detail = json!({ "externalUserId": external_id, "expires_at": end });
        assert_eq!((record.act.name(), record.user), ("create-token", user));
        assert_eq!(Value::from(record.detail), detail);
    }
    let annas = identity(anna, ConnectionId::new(NOW));
    backend
        .execute(&annas, of("boris"))
        .expect_err("not a service");
}

fn opened_and_applied_for(log: &mut Log<'_>, event: EventPk, guest: UserId, in_event: &Value) {
    let open = |user| Command::OpenEventChat {
        chosen: ChatChoice::default(),
        user,
        event,
    };
    let apply = |user| Command::RequestAccess {
        user,
        event,
        draft: None,
    };
    let (records, reply) = log.of(&HOST, &open(Some(guest)));
    let Reply::EventChat(opened) = reply else {
        panic!("{reply:?}")
    };
    let by_host = |act| (None, act, Some(guest), in_event.clone());
    assert_eq!(records, [by_host("open-event-chat")]);
    let (records, _) = log.of(&HOST, &apply(Some(guest)));
    assert_eq!(records, [by_host("request-access")]);
    let grant = Command::GrantAccess {
        chat: ChatRef::Id(opened.chat.chat),
        access: Access::Granted,
    };
    let (records, _) = log.of(&HOST, &grant);
    assert_eq!(records.len(), 1);
    // A guest does that for itself.
    let vera = log.0.user("vera", Profile::default()).id;
    log.1 += 1;
    let veras = identity(vera, ConnectionId::new(NOW));
    assert_eq!(log.of(&veras, &open(None)).0, []);
    assert_eq!(log.of(&veras, &apply(None)).0, []);
}
