//! Tests of the wire format: every fact goes there and back, other versions and damage are survived, and what was
//! once sent can be read for ever.
//! Does not know any bus.

mod golden;
mod other_versions;
mod samples;
mod sizes;
mod strategies;

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Batch, Content, Header, Hint, HintKind, Kind, RemoteNotice, UnknownContent};
use crate::model::{ChatId, Fact, NodeId, Notice};

pub(super) use golden::version_1;

/// The batch with these notices.
fn batch(notices: Vec<RemoteNotice>) -> Batch {
    Batch {
        node: NodeId::from_bytes([0x4e; 16]),
        n: 3,
        sent: Timestamp::from_millisecond(1_796_000_000_123).expect("a time"),
        notices,
    }
}

/// What another node gets of a notice.
fn received(notice: &Notice) -> RemoteNotice {
    let sent = batch(vec![RemoteNotice::of(notice)]);
    let mut received = Batch::decode(&sent.encode()).expect("a batch");
    assert_eq!(received, sent);
    received.notices.remove(0)
}

/// What is to be decoded of it there, if it is small.
fn expected(notice: &Notice) -> Content {
    let kind = match &notice.fact {
        Fact::ChatCreated(_) => HintKind::ChatCreated,
        Fact::MembersListed(_) => HintKind::MembersListed,
        Fact::ChatChanged(_) => HintKind::ChatChanged,
        Fact::EventChatOpened(_) => HintKind::EventChatOpened,
        Fact::AccessChanged(_) => HintKind::AccessChanged,
        Fact::ReadMoved(_) => HintKind::ReadMoved,
        Fact::MembersConfirmed(_) => HintKind::MembersConfirmed,
        _ => {
            return Content::Notice(Box::new(Notice {
                durable: None,
                ..notice.clone()
            }));
        }
    };
    hint(kind, notice)
}

/// The hint of a notice about a chat.
fn hint(kind: HintKind, notice: &Notice) -> Content {
    Content::Hint(Hint {
        kind,
        chat: notice.fact.chat().expect("a chat"),
        origin: notice.origin,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_fact_is_received_as_it_was_sent(notices in strategies::one_of_every_fact()) {
        for notice in notices {
            let received = received(&notice);
            prop_assert_eq!(received.header.chat, notice.fact.chat());
            prop_assert_eq!(received.content().expect("a body"), expected(&notice));
        }
    }

    #[test]
    fn damaged_bytes_are_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        header in strategies::header(),
    ) {
        let length = u32::try_from(bytes.len()).expect("a length").to_le_bytes();
        for start in [&[][..], &length[..]] {
            let mut bytes = bytes.clone();
            bytes.splice(..start.len().min(bytes.len()), start.iter().copied());
            prop_assert!(Batch::decode(&bytes).is_err());
            let notice = RemoteNotice { header: header.clone(), body: bytes };
            let _: Result<Content, UnknownContent> = notice.content();
        }
    }

    #[test]
    fn every_header_is_received_as_it_was_sent(header in strategies::header()) {
        let sent = batch(vec![RemoteNotice { header, body: vec![1, 2, 3] }]);
        prop_assert_eq!(Batch::decode(&sent.encode()).expect("a batch"), sent);
    }
}

#[test]
fn the_samples_have_every_fact() {
    for notice in samples::notices() {
        assert_eq!(
            received(&notice).content().expect("a body"),
            expected(&notice)
        );
    }
}

#[test]
fn the_instant_of_this_process_stays_here() {
    for notice in samples::notices() {
        let durable = Some(tokio::time::Instant::now());
        let stored = Notice {
            durable,
            ..notice.clone()
        };
        assert_eq!(RemoteNotice::of(&stored), RemoteNotice::of(&notice));
    }
}

#[test]
fn a_header_names_the_chat_the_users_and_the_seq() {
    let header = |kind| {
        let mut all = samples::notices().into_iter();
        let notice = all.find(|notice| Header::of(&notice.fact).kind == kind);
        Header::of(&notice.expect("a sample").fact)
    };
    let users = |kind| header(kind).users;
    let (anna, boris) = (samples::anna().id, samples::boris().id);
    let sent = header(Kind::MessageSent);
    assert_eq!((sent.chat, sent.seq), (Some(samples::CHAT), Some(12)));
    assert_eq!(sent.users, None);
    for kind in [Kind::MemberJoined, Kind::MemberLeft] {
        assert_eq!(
            (users(kind), header(kind).seq),
            (Some(vec![boris]), Some(12))
        );
    }
    for kind in [Kind::EventChatOpened, Kind::AccessChanged, Kind::ReadMoved] {
        assert_eq!(users(kind), Some(vec![anna, boris]));
    }
    for kind in [Kind::ChatCreated, Kind::MembersConfirmed] {
        assert_eq!(users(kind), Some(vec![anna, boris]));
    }
    for kind in [Kind::RoleSet, Kind::Muted, Kind::Banned] {
        assert_eq!(users(kind), Some(vec![boris]));
        assert_eq!(header(kind).chat, Some(samples::CHAT));
    }
    for kind in [Kind::Disconnected, Kind::TokensRevoked, Kind::UserChanged] {
        assert_eq!((users(kind), header(kind).chat), (Some(vec![boris]), None));
    }
}

#[test]
fn a_batch_without_notices_is_a_beat() {
    let beat = batch(Vec::new());
    assert_eq!(Batch::decode(&beat.encode()).expect("a beat"), beat);
}

#[test]
fn what_is_owed_is_a_chat_or_anything() {
    let chat = ChatId::from_bytes([7; 16]);
    let sent = batch(vec![
        RemoteNotice::owed(Some(chat)),
        RemoteNotice::owed(None),
        RemoteNotice::bye(),
    ]);
    let received = Batch::decode(&sent.encode()).expect("a batch");
    assert_eq!(received, sent);
    let kinds = received.notices.iter().map(|notice| notice.header.kind);
    assert!(kinds.eq([Kind::Owed, Kind::Owed, Kind::Bye]));
    let hint = Content::Hint(Hint {
        kind: HintKind::Unknown,
        chat,
        origin: None,
    });
    assert_eq!(received.notices[0].content().expect("a hint"), hint);
    for without_chat in &received.notices[1..] {
        assert!(without_chat.content().is_err());
    }
}

#[test]
fn a_batch_cut_short_or_with_more_behind_it_is_an_error() {
    let notices = samples::notices();
    let whole = batch(notices.iter().map(RemoteNotice::of).collect()).encode();
    for length in 0..whole.len() {
        assert!(Batch::decode(&whole[..length]).is_err(), "{length} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(Batch::decode(&longer).is_err());
}

#[test]
fn a_body_cut_short_is_an_error_and_a_wrong_byte_no_panic() {
    for notice in samples::notices() {
        let whole = RemoteNotice::of(&notice);
        for at in 0..whole.body.len() {
            let mut damaged = whole.clone();
            damaged.body.truncate(at);
            assert!(damaged.content().is_err(), "{at} bytes of {notice:?}");
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged.body[at] = byte;
                let _: Result<Content, UnknownContent> = damaged.content();
            }
        }
    }
}

#[test]
fn a_body_under_the_header_of_another_kind_is_no_panic() {
    let notices: Vec<_> = samples::notices().iter().map(RemoteNotice::of).collect();
    for header in notices.iter().map(|notice| &notice.header) {
        for RemoteNotice { body, .. } in &notices {
            let mixed = RemoteNotice {
                header: header.clone(),
                body: body.clone(),
            };
            let _: Result<Content, UnknownContent> = mixed.content();
        }
    }
}

#[test]
fn the_users_of_a_message_are_those_of_its_event() {
    let sent = samples::message();
    let notice = Notice {
        origin: None,
        fact: Fact::MessageSent(Arc::new(sent.clone())),
        durable: None,
    };
    let Content::Notice(notice) = received(&notice).content().expect("a body") else {
        panic!("it is small");
    };
    let Fact::MessageSent(received) = notice.fact else {
        panic!("it is a message");
    };
    let event_chat = received.event_chat.as_ref().expect("an event");
    assert_eq!(received.sender, event_chat.event.owner);
    assert_eq!(
        (event_chat.chat, event_chat.chat_pk),
        (sent.chat, sent.chat_pk)
    );
}
