//! The lines, written and read, and lines that are wrong.
//! Does not import any.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::{
    Access, ChatId, ChatRef, Draft, EventDetails, Fingerprint, IdempotencyKey, ImportRecord,
    ImportedChat, ImportedEvent, ImportedEventPart, ImportedMember, ImportedMessage,
    ImportedNumbers, ImportedRead, ImportedUser, MemberRole, MessageId, Metadata, Policy, Profile,
    ReadUpTo, Sanction, UserId, UserRef,
};

fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).expect("a time")
}

fn anna() -> UserRef {
    UserRef::External("anna \"A\" é\u{1F600}".into())
}

fn key() -> IdempotencyKey {
    IdempotencyKey {
        name: "key".into(),
        content: Fingerprint::of("content"),
    }
}

/// A record of each kind, with no field at its default: a new field has to be written and read.
fn full() -> Vec<ImportRecord> {
    let read = |chat, up_to| {
        ImportRecord::Read(ImportedRead {
            chat,
            user: anna(),
            up_to,
        })
    };
    vec![
        ImportRecord::Numbers(ImportedNumbers {
            users: 1,
            chats: 2,
            events: 3,
        }),
        ImportRecord::User(Box::new(full_user())),
        ImportRecord::Event(Box::new(full_event())),
        ImportRecord::Chat(Box::new(full_chat())),
        ImportRecord::Message(Box::new(full_message())),
        read(
            ChatRef::Id(ChatId::from_bytes([2; 16])),
            ReadUpTo::Original("77".into()),
        ),
        read(ChatRef::Pk(7), ReadUpTo::At(at(5))),
        read(ChatRef::Pk(7), ReadUpTo::Seq(5)),
    ]
}

fn full_user() -> ImportedUser {
    ImportedUser {
        external_id: "anna".into(),
        id: Some(UserId::from_bytes([1; 16])),
        pk: Some(14),
        profile: Profile {
            username: Some("a".into()),
            name: Some("b\nc".into()),
            avatar: Some("d".into()),
            github: Some("e".into()),
            image_uuid: Some("f".into()),
        },
        created_at: Some(at(1)),
        modified_at: Some(at(2)),
        revoked_before: Some(at(3)),
    }
}

fn full_event() -> ImportedEvent {
    ImportedEvent {
        pk: 10,
        owner: UserRef::Pk(14),
        details: EventDetails {
            name: "Picnic".into(),
            icons: vec!["sun".into()],
            location: "here".into(),
            starts: 5,
            ends: -5,
        },
        key: Some(key()),
        created_at: Some(at(1)),
        modified_at: Some(at(2)),
    }
}

fn full_chat() -> ImportedChat {
    let sanction = Sanction { until: Some(at(9)) };
    let member = |role, mute| ImportedMember {
        user: anna(),
        role,
        mute,
        last_read: 3,
    };
    ImportedChat {
        id: Some(ChatId::from_bytes([2; 16])),
        pk: Some(7),
        external_id: Some("room-7".into()),
        name: Some("Soup".into()),
        policy: Some(Policy::Open),
        owner: Some(UserRef::Id(UserId::from_bytes([1; 16]))),
        team: Some(4),
        of_event: Some(ImportedEventPart {
            event: 10,
            guest: anna(),
            access: Access::Granted,
        }),
        members: vec![
            member(MemberRole::Moderator, Some(sanction)),
            member(MemberRole::Member, Some(Sanction { until: None })),
        ],
        add_members: true,
        bans: vec![(anna(), sanction)],
        kept: vec![member(MemberRole::Reader, None)],
        key: Some(key()),
        head: 5,
        created_at: Some(at(1)),
        modified_at: Some(at(2)),
        active_at: Some(at(3)),
    }
}

fn full_message() -> ImportedMessage {
    ImportedMessage {
        chat: ChatRef::External("room-7".into()),
        exported: Some((MessageId::from_bytes([3; 16]), 5)),
        sender: anna(),
        draft: Draft {
            kind: "note".into(),
            text: "one\ntwo".into(),
            photos: vec!["a".into()],
            client_id: Some("c".into()),
            original_id: Some("77".into()),
            metadata: Metadata::of_json(r#"{"b": 1.0,"a":[ "é" ]}"#.into()),
            sent_as_read: true,
        },
        created_at: at(4),
    }
}

fn record(json: &str) -> ImportRecord {
    match read(json).expect("a line") {
        Line::Record { record, .. } => record,
        Line::Header => panic!("no record"),
    }
}

#[test]
fn what_is_written_is_read() {
    for original in full() {
        let line = write(&original);
        assert!(!line.contains('\n'), "{line}");
        let expected = Line::Record {
            record: original,
            lost: Vec::new(),
        };
        assert_eq!(read(&line).expect("a line"), expected, "{line}");
    }
    let line = header(at(1));
    assert_eq!(read(&line).expect("a header"), Line::Header);
}

#[test]
fn the_shortest_lines_are_taken() {
    let ImportRecord::User(user) = record(r#"{"type":"user","externalUserId":14}"#) else {
        panic!("another record");
    };
    assert_eq!((&*user.external_id, user.pk), ("14", None));
    let ImportRecord::Chat(chat) =
        record(r#"{"type":"chat","externalChatId":"r","members":[14,"external:b",{"pk":3}]}"#)
    else {
        panic!("another record");
    };
    let members: Vec<_> = chat.members.iter().map(|it| it.user.to_string()).collect();
    assert_eq!(members, ["14", "external:b", "3"]);
    let line = r#"{"type":"message","chat":{"externalChatId":"r"},"original_id":8812,"sender":14,
                   "text":"x","created_at":1700000000000}"#;
    let ImportRecord::Message(message) = record(line) else {
        panic!("another record");
    };
    assert_eq!(message.draft.original_id.as_deref(), Some("8812"));
    assert_eq!(message.created_at, at(1_700_000_000_000));
}

#[test]
fn unknown_fields_of_a_message_are_kept_and_others_are_named() {
    let line = r#"{"type":"message","chat":7,"original_id":"1","sender":14,"text":"x","created_at":0,
                   "likes":[1, 2],"a":1,"metadata":{"a":2}}"#;
    let Line::Record { record, lost } = read(line).expect("a line") else {
        panic!("no record");
    };
    let ImportRecord::Message(message) = record else {
        panic!("another record");
    };
    let metadata = message.draft.metadata.expect("metadata");
    assert_eq!(metadata.json(), r#"{"a":2,"likes":[1, 2]}"#);
    assert_eq!(lost, ["a"]);
    let line = r#"{"type":"user","externalUserId":"a","phone":"1"}"#;
    let Line::Record { lost, .. } = read(line).expect("a line") else {
        panic!("no record");
    };
    assert_eq!(lost, ["phone"]);
}

#[test]
fn the_field_at_fault_is_named() {
    for (line, field) in [
        ("[]", "the line"),
        ("{", "the line"),
        (r#"{"a":1}"#, "type"),
        (r#"{"type":"room"}"#, "type"),
        (r#"{"type":"polychat","version":2}"#, "version"),
        (r#"{"type":"polychat"}"#, "version"),
        (r#"{"type":"user"}"#, "externalUserId"),
        (r#"{"type":"user","externalUserId":"a","pk":"x"}"#, "pk"),
        (r#"{"type":"user","externalUserId":"a","id":"7"}"#, "id"),
        (
            r#"{"type":"user","externalUserId":"a","created_at":"yesterday"}"#,
            "created_at",
        ),
        (r#"{"type":"event","id":1,"name":"x"}"#, "eventOwnerId"),
        (r#"{"type":"chat","policy":"secret"}"#, "policy"),
        (
            r#"{"type":"chat","members":[{"user":1,"role":"king"}]}"#,
            "members.role",
        ),
        (r#"{"type":"chat","members":{"a":1}}"#, "members"),
        (r#"{"type":"chat","event":{"id":1}}"#, "event.guest"),
        (r#"{"type":"message","chat":"x","sender":1}"#, "chat"),
        (
            r#"{"type":"message","chat":1,"text":"x","created_at":0}"#,
            "sender",
        ),
        (
            r#"{"type":"message","chat":1,"sender":1,"text":"x"}"#,
            "created_at",
        ),
        (
            r#"{"type":"message","chat":1,"sender":1,"id":"7","created_at":0}"#,
            "id",
        ),
        (
            r#"{"type":"message","chat":1,"sender":1,"seq":7,"created_at":0}"#,
            "seq",
        ),
        (
            r#"{"type":"message","chat":1,"sender":1,"text":5,"created_at":0}"#,
            "text",
        ),
        (
            r#"{"type":"message","chat":1,"sender":1,"metadata":[],"created_at":0}"#,
            "metadata",
        ),
        (r#"{"type":"read","chat":1,"user":1}"#, "original_id"),
        (
            r#"{"type":"read","chat":1,"user":1,"seq":1,"at":0}"#,
            "original_id",
        ),
    ] {
        let error = read(line).expect_err(line);
        let begins = error.message.starts_with(&format!("{field}: "));
        assert!(begins, "{line} {error}");
    }
}

proptest! {
    #[test]
    fn no_line_breaks_it(line in "\\PC{0,80}") {
        let _ = read(&line);
    }

    #[test]
    fn no_value_of_a_field_breaks_it(
        kind in "user|event|chat|message|read|numbers",
        field in "id|pk|chat|sender|members|created_at|metadata|event|mute|bans|seq|user|original_id",
        value in "null|1|-1|1e400|\"x\"|\\[\\]|\\{\\}|\\[\\[1\\]\\]|true|9223372036854775808|\"external:\"",
    ) {
        let _ = read(&format!("{{\"type\":\"{kind}\",\"{field}\":{value}}}"));
    }
}
