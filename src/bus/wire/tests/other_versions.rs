//! Tests of what nodes of later versions send.
//! Does not build such a node: that is a build with `--cfg next_wire`.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::super::fields::{binary, uuid};
use super::{batch, samples};
use crate::bus::wire::{Batch, Content, Hint, HintKind, Kind, RemoteNotice, VERSION, VERSIONS};
use crate::model::{ChatId, UserId};

/// A batch of one notice, as a later version may write it.
fn later_batch(header: &RawDocument, body: &[u8]) -> Vec<u8> {
    let (mut headers, mut bodies) = (RawArrayBuf::new(), RawArrayBuf::new());
    headers.push(header);
    bodies.push(binary(body));
    let mut batch = RawDocumentBuf::new();
    batch.append(cstr!("_id"), "of a database");
    batch.append(cstr!("v"), 1_i64);
    batch.append(cstr!("node"), uuid(&[4; 16]));
    batch.append(cstr!("later"), true);
    batch.append(cstr!("n"), 1_i64);
    batch.append(
        cstr!("at"),
        super::super::fields::date(jiff::Timestamp::UNIX_EPOCH),
    );
    batch.append(cstr!("h"), &headers);
    batch.append(cstr!("b"), &bodies);
    batch.into_bytes()
}

fn decoded(bytes: &[u8]) -> RemoteNotice {
    let mut batch = Batch::decode(bytes).expect("a batch");
    let again = Batch::decode(&batch.encode()).expect("a batch");
    assert_eq!(again, batch);
    batch.notices.remove(0)
}

fn unknown() -> Content {
    Content::Hint(Hint {
        kind: HintKind::Unknown,
        chat: samples::CHAT,
        origin: None,
    })
}

/// A document in a document, and so on: a decoder that descends into it overflows its stack.
fn deep() -> RawDocumentBuf {
    const DEPTH: i32 = 200_000;
    let mut bytes = Vec::new();
    for level in (1..=DEPTH).rev() {
        bytes.extend((5 + 8 * level).to_le_bytes());
        bytes.extend([3, b'a', 0]);
    }
    bytes.extend(5_i32.to_le_bytes());
    bytes.extend(vec![0; usize::try_from(DEPTH + 1).expect("a length")]);
    RawDocumentBuf::from_bytes(bytes).expect("a document")
}

#[test]
fn a_body_of_a_later_version_is_a_hint_where_there_is_a_chat() {
    let mut about_users = 0;
    for notice in samples::notices() {
        let notice = RemoteNotice::of(&notice);
        let mut header = notice.header.encode();
        header.append(cstr!("later"), "a further field");
        let body = rawdoc! { "v": VERSION + 1, "c": "in another form", "later": [1.5, true] };
        let received = decoded(&later_batch(&header, body.as_bytes()));
        assert_eq!(received.header, notice.header);
        if received.header.chat.is_some() {
            assert_eq!(received.content().expect("a hint"), unknown());
        } else {
            about_users += 1;
            assert!(received.content().is_err());
        }
    }
    assert_eq!(about_users, 3);
}

#[test]
fn an_unknown_kind_is_a_hint_whatever_its_body() {
    for number in [0, 25, 1000, u32::MAX] {
        let mut header = RawDocumentBuf::new();
        header.append(cstr!("later"), deep());
        header.append(cstr!("k"), i64::from(number));
        header.append(cstr!("c"), uuid(samples::CHAT.as_bytes()));
        for body in [&[][..], b"no BSON", rawdoc! { "v": 1_i64 }.as_bytes()] {
            let received = decoded(&later_batch(&header, body));
            assert_eq!(received.header.kind, Kind::Unknown(number));
            assert_eq!(received.body, body);
            assert_eq!(received.content().expect("a hint"), unknown());
        }
        let without_chat = rawdoc! { "k": i64::from(number) };
        assert!(decoded(&later_batch(&without_chat, &[])).content().is_err());
    }
}

#[test]
fn a_header_with_further_fields_is_read() {
    for notice in samples::notices() {
        let notice = RemoteNotice::of(&notice);
        let mut header = RawDocumentBuf::new();
        header.append(cstr!("a"), deep());
        for element in &notice.header.encode() {
            let (key, value) = element.expect("an element");
            header.append(key, value);
        }
        header.append(cstr!("b"), RawBsonRef::Null);
        assert_eq!(decoded(&later_batch(&header, &notice.body)), notice);
    }
}

#[test]
fn a_header_of_more_users_than_are_named_names_none() {
    let users: Vec<_> = (0..17).map(|it| UserId::from_bytes([it; 16])).collect();
    for (count, named) in [(0, None), (16, Some(&users[..16])), (17, None)] {
        let list = users[..count].iter().map(|user| uuid(user.as_bytes()));
        let list: RawArrayBuf = list.collect();
        let mut header = rawdoc! { "k": 2_i64 };
        header.append(cstr!("u"), &list);
        let received = decoded(&later_batch(&header, &[]));
        assert_eq!(received.header.users.as_deref(), named);
    }
}

#[test]
fn what_is_no_batch_of_this_form_is_an_error() {
    let right = batch(vec![RemoteNotice::owed(Some(ChatId::from_bytes([7; 16])))]);
    let right = RawDocumentBuf::from_bytes(right.encode()).expect("a batch");
    let with = |key: &str, value: Option<RawBsonRef<'_>>| {
        let mut changed = RawDocumentBuf::new();
        for element in &right {
            let (name, old) = element.expect("an element");
            let value = if name.as_str() == key {
                value
            } else {
                Some(old)
            };
            if let Some(value) = value {
                changed.append(name, value);
            }
        }
        Batch::decode(changed.as_bytes())
    };
    assert!(with("none", None).is_ok());
    for key in ["v", "node", "n", "at", "h", "b"] {
        assert!(with(key, None).is_err(), "without {key}");
        assert!(with(key, Some(RawBsonRef::Null)).is_err(), "{key}: null");
        assert!(with(key, Some("1".into())).is_err(), "{key}: a text");
    }
    assert!(with("v", Some(2_i64.into())).is_err());
    for n in [0_i64, -1, i64::MIN] {
        assert!(with("n", Some(n.into())).is_err());
    }
    let none = RawArrayBuf::new();
    assert!(with("h", Some((&none).into())).is_err());
    assert!(with("b", Some((&none).into())).is_err());
    let (mut numbers, mut texts) = (RawArrayBuf::new(), RawArrayBuf::new());
    numbers.push(rawdoc! { "k": -1_i64 });
    texts.push("no header");
    for headers in [numbers, texts] {
        assert!(with("h", Some((&headers).into())).is_err());
    }
}

#[test]
fn a_body_without_a_version_of_ours_is_damaged() {
    let mut notice = RemoteNotice::of(&samples::notices()[0]);
    for body in [rawdoc! {}, rawdoc! { "v": 0_i64 }, rawdoc! { "v": "1" }] {
        notice.body = body.into_bytes();
        assert!(notice.content().is_err());
    }
}

#[test]
fn this_node_reads_every_version_up_to_its_own() {
    assert_eq!(VERSIONS, 1..=VERSION);
    assert_eq!(VERSION, if cfg!(next_wire) { 2 } else { 1 });
    for notice in samples::notices() {
        let body = RawDocumentBuf::from_bytes(RemoteNotice::of(&notice).body).expect("a body");
        assert_eq!(body.get_i64("v").expect("a version"), VERSION);
    }
}

/// What the build for tests of mixed versions sends: nodes of this version have it as a later one's.
#[cfg(next_wire)]
#[test]
fn every_header_and_body_has_a_field_that_version_1_does_not_know() {
    for notice in samples::notices() {
        let notice = RemoteNotice::of(&notice);
        let body = RawDocumentBuf::from_bytes(notice.body).expect("a body");
        assert!(body.get_bool("z").expect("a field"));
        assert!(notice.header.encode().get_bool("z").expect("a field"));
    }
}
