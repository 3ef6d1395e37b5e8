//! Tests with bytes that version 1 has sent, one batch of each kind: they are read for ever.
//! Does not test bytes of other versions.

use strum::IntoEnumIterator as _;

use super::{batch, expected, samples};
use crate::bus::wire::{Batch, Header, Kind, RemoteNotice};

/// The number of a kind, and a batch with such a notice: lines are added, and never changed.
const VERSION_1: &str = include_str!("version_1.txt");

/// Each kind, with its batch.
pub(in crate::bus::wire) fn version_1() -> impl Iterator<Item = (u32, Vec<u8>)> {
    VERSION_1.lines().map(|line| {
        let (kind, hex) = line.split_once(' ').expect("a kind and its bytes");
        let digits = hex.as_bytes().chunks(2);
        let bytes = digits.map(|digits| {
            let digits = std::str::from_utf8(digits).expect("digits");
            u8::from_str_radix(digits, 16).expect("a byte")
        });
        (kind.parse().expect("a number"), bytes.collect())
    })
}

/// The same as this version writes it: every fact, and the kinds that are none.
fn written() -> Vec<RemoteNotice> {
    let reserved = |kind| {
        let users = Some(vec![samples::boris().id]);
        let header = Header {
            kind,
            chat: Some(samples::CHAT),
            users,
            seq: Some(12),
        };
        RemoteNotice {
            header,
            body: Vec::new(),
        }
    };
    let facts = samples::notices();
    let facts = facts.iter().map(RemoteNotice::of);
    let others = [
        reserved(Kind::MessageChanged),
        RemoteNotice::owed(Some(samples::CHAT)),
        RemoteNotice::bye(),
        reserved(Kind::Over),
    ];
    facts.chain(others).collect()
}

#[test]
fn every_kind_of_version_1_is_read() {
    let read: Vec<_> = version_1().collect();
    let notices = samples::notices();
    let known = Kind::iter().filter(|kind| !matches!(kind, Kind::Unknown(_)));
    assert!(
        read.iter()
            .map(|(number, _)| *number)
            .eq(known.map(Kind::number))
    );
    for (index, (number, bytes)) in read.into_iter().enumerate() {
        let received = Batch::decode(&bytes).expect("a batch");
        let written = batch(vec![written()[index].clone()]);
        assert_eq!((received.node, received.n), (written.node, written.n));
        assert_eq!(received.sent, written.sent);
        let [notice] = &received.notices[..] else {
            panic!("one notice");
        };
        assert_eq!(notice.header, written.notices[0].header);
        assert_eq!(notice.header.kind.number(), number);
        if let Some(sample) = notices.get(index) {
            assert_eq!(notice.content().expect("a body"), expected(sample));
        }
    }
}

/// While version 1 is the one that is sent.
#[cfg(not(next_wire))]
#[test]
fn version_1_is_written_as_it_was() {
    use std::fmt::Write as _;

    let mut lines = String::new();
    for notice in written() {
        let number = notice.header.kind.number();
        let bytes = batch(vec![notice]).encode();
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string");
            hex
        });
        writeln!(lines, "{number} {hex}").expect("a string");
    }
    assert!(lines == VERSION_1, "it is now:\n{lines}");
}

#[test]
fn the_numbers_of_the_kinds_are_frozen() {
    let numbers = [
        (Kind::MessageSent, 1),
        (Kind::ChatCreated, 2),
        (Kind::MemberJoined, 3),
        (Kind::MemberLeft, 4),
        (Kind::MembersListed, 5),
        (Kind::ChatChanged, 6),
        (Kind::ChatDeleted, 7),
        (Kind::EventChatOpened, 8),
        (Kind::AccessChanged, 9),
        (Kind::ReadMoved, 10),
        (Kind::RoleSet, 11),
        (Kind::Muted, 12),
        (Kind::Banned, 13),
        (Kind::MembersConfirmed, 14),
        (Kind::MembersUncertain, 15),
        (Kind::CreationUncertain, 16),
        (Kind::DeletionUncertain, 17),
        (Kind::Disconnected, 18),
        (Kind::TokensRevoked, 19),
        (Kind::UserChanged, 20),
        (Kind::MessageChanged, 21),
        (Kind::Owed, 22),
        (Kind::Bye, 23),
        (Kind::Over, 24),
        (Kind::Unknown(0), 0),
    ];
    let kinds: Vec<_> = Kind::iter().map(|kind| (kind, kind.number())).collect();
    assert_eq!(kinds, numbers);
    for (kind, number) in numbers {
        assert_eq!(Kind::of(number), kind);
    }
    assert_eq!(Kind::of(25), Kind::Unknown(25));
}
