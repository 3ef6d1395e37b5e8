//! Tests of what is carried whole, and of how much room it takes.
//! Does not test values.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::body::LARGEST;
use super::{expected, hint, received, samples, strategies};
use crate::bus::wire::{Batch, HintKind, MOST_USERS, RemoteNotice};
use crate::model::{Chat, Draft, Fact, ListedMembers, Message, Notice, Room, User, UserId};

fn notice(fact: Fact) -> Notice {
    let origin = samples::notices()[0].origin;
    Notice {
        origin,
        fact,
        durable: None,
    }
}

/// A message with a text of so many bytes.
fn long(bytes: usize) -> Notice {
    let message = Message {
        seq: 5,
        ..Message::example_of(Draft::text("x".repeat(bytes)))
    };
    notice(Fact::MessageSent(Arc::new(message)))
}

fn members(count: u32) -> Vec<UserId> {
    let id = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        UserId::from_bytes(bytes)
    };
    (0..count).map(id).collect()
}

fn chat(count: u32) -> Chat {
    Chat {
        members: members(count),
        ..Chat::example()
    }
}

#[test]
fn a_message_is_carried_up_to_the_largest_body() {
    let envelope = RemoteNotice::of(&long(0)).body.len();
    let most = LARGEST - envelope;
    assert!(most > 3000, "a usual message fits");
    let fits = long(most);
    assert_eq!(RemoteNotice::of(&fits).body.len(), LARGEST);
    assert_eq!(received(&fits).content().expect("a body"), expected(&fits));
    for larger in [most + 1, LARGEST, LARGEST + 1, 1_000_000] {
        let larger = long(larger);
        let received = received(&larger);
        assert!(received.len() < 256, "{} bytes", received.len());
        let content = received.content().expect("a body");
        assert_eq!(content, hint(HintKind::MessageSent, &larger));
        assert_eq!(received.header.chat, larger.fact.chat());
        assert_eq!(received.header.seq, Some(5));
    }
}

#[test]
fn other_notices_are_carried_whole_however_large() {
    let user = User {
        name: "x".repeat(LARGEST),
        ..samples::boris()
    };
    let mut all = samples::notices().into_iter().map(|notice| notice.fact);
    let joined = all.find_map(|fact| match fact {
        Fact::MemberJoined(joined) => Some(joined),
        _ => None,
    });
    let mut joined = joined.expect("a sample");
    Arc::make_mut(&mut joined).user = Arc::new(user);
    let joined = notice(Fact::MemberJoined(joined));
    assert_eq!(
        received(&joined).content().expect("a body"),
        expected(&joined)
    );
}

#[test]
fn a_chat_of_ten_thousand_members_is_small() {
    let chat = chat(10_000);
    let user = Arc::new(samples::anna());
    let room = Room {
        chat: chat.clone(),
        members: vec![Arc::clone(&user); 10_000],
        messages: vec![samples::message(); 1_000],
    };
    let listed = ListedMembers {
        chat: chat.id,
        members: vec![user; 10_000],
        version: 1,
    };
    for fact in [
        Fact::ChatCreated(chat.clone()),
        Fact::MembersConfirmed(chat),
        Fact::ChatChanged(Arc::new(room)),
        Fact::MembersListed(Arc::new(listed)),
    ] {
        let notice = notice(fact);
        let received = received(&notice);
        assert_eq!(received.header.users, None);
        assert!(received.len() < 256, "{} bytes", received.len());
        assert_eq!(received.content().expect("a body"), expected(&notice));
    }
}

#[test]
fn a_header_names_sixteen_users_at_most_and_none_rather_than_no_user() {
    for count in 0..40 {
        let created = received(&notice(Fact::ChatCreated(chat(count))));
        let names = (1..=16).contains(&count);
        assert_eq!(created.header.users, names.then(|| members(count)));
    }
    assert_eq!(MOST_USERS, 16);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_as_large_as_its_notices_say(
        notices in strategies::one_of_every_fact(),
        times in 0_usize..200,
        header in strategies::header(),
    ) {
        let mut notices: Vec<_> = notices.iter().map(RemoteNotice::of).collect();
        notices.extend(vec![RemoteNotice { header, body: Vec::new() }; times]);
        let most = Batch::ENVELOPE + notices.iter().map(RemoteNotice::len).sum::<usize>();
        let count = notices.len();
        let bytes = super::batch(notices).encode().len();
        // The field that a database adds.
        let id = 1 + 4 + 5 + 16;
        prop_assert!(bytes + id <= most, "{bytes} of {most}");
        prop_assert!(most <= bytes + 128 + 128 * count, "{bytes} of {most}");
    }
}
