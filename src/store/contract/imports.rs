//! The contract of what an import needs: original ids, numbers of chats, and read positions that come along.
//! Does not know which store is under test.

use futures_util::future::join_all;

use super::*;
use crate::model::{MemberRole, Sent, Seq};
use crate::store::transfer::{ChatRecord, MemberRecord};

/// A message that was moved in.
fn moved(chat: &Chat, sender: &User, original_id: &str, millisecond: i64) -> PendingMessage {
    let mut entry = entry(chat.id, sender, original_id, millisecond);
    entry.draft.original_id = Some(original_id.into());
    entry
}

async fn append(store: &Subject, batch: Vec<PendingMessage>) -> Vec<(bool, Seq)> {
    let sent = store.append(batch).await.expect("stored").into_iter();
    let sent = sent.map(|sent| sent.expect("a chat"));
    sent.map(|sent| (matches!(sent, Sent::Stored(_)), sent.message().seq))
        .collect()
}

pub async fn an_original_id_counts_once_in_its_chat(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let one = chat(&store, &[&anna, &boris], 0).await;
    let two = chat(&store, &[&anna, &boris], 0).await;
    let batch = vec![
        moved(&one, &anna, "a", 1),
        moved(&one, &boris, "a", 2),
        moved(&two, &anna, "a", 3),
        moved(&one, &anna, "A", 4),
    ];
    let first = [(true, 1), (false, 1), (true, 1), (true, 2)];
    assert_eq!(append(&store, batch).await, first);
    let again = vec![moved(&one, &boris, "a", 9), moved(&one, &anna, "b", 9)];
    assert_eq!(append(&store, again).await, [(false, 1), (true, 3)]);
    // A sender's own name for a message is another thing.
    let mut own = entry(one.id, &anna, "own", 9);
    own.draft.client_id = Some("a".into());
    assert_eq!(append(&store, vec![own]).await, [(true, 4)]);
}

pub async fn two_imports_at_once_store_each_message_once(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 0).await;
    let batch = || (0..40).map(|number| moved(&talk, &anna, &number.to_string(), number));
    let both = [batch().collect(), batch().collect()].map(|batch| append(&store, batch));
    let sent = join_all(both).await;
    let new = sent.iter().flatten().filter(|(new, _)| *new).count();
    assert_eq!(new, 40);
    assert_eq!(store.heads(&[talk.id]).await.expect("heads"), [40]);
}

pub async fn an_imported_message_keeps_its_time_or_is_not_stored(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 0).await;
    let batch = vec![moved(&talk, &anna, "a", 5), entry(talk.id, &anna, "own", 9)];
    store.append(batch).await.expect("stored");
    let batch = vec![
        moved(&talk, &anna, "b", 8),
        moved(&talk, &anna, "a", 5),
        moved(&talk, &anna, "c", 9),
        moved(&talk, &anna, "d", 7),
        entry(talk.id, &anna, "late", 1),
        moved(&talk, &anna, "e", 9),
    ];
    let sent = store.append(batch).await.expect("stored");
    let sent: Vec<_> = sent
        .iter()
        .map(|sent| sent.as_ref().map(Sent::message))
        .collect();
    let seqs: Vec<_> = sent.iter().map(|sent| sent.map(|it| it.seq)).collect();
    assert_eq!(seqs, [None, Some(1), Some(3), None, Some(4), Some(5)]);
    let times: Vec<_> = sent.iter().flatten().map(|it| it.created_at).collect();
    assert_eq!(times, [at(5), at(9), at(9), at(9)]);
}

pub async fn a_message_is_found_by_its_original_id(store: Subject) {
    let anna = user(&store, "anna").await;
    let (talk, other) = (
        chat(&store, &[&anna], 0).await,
        chat(&store, &[&anna], 0).await,
    );
    let entries = vec![moved(&talk, &anna, "a", 1), moved(&talk, &anna, "b", 2)];
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    append(&store, entries).await;
    let named = vec!["b".to_owned(), "c".to_owned(), "a".to_owned()];
    let found = store.imported(talk.id, named.clone()).await;
    let expected = [Some((2, ids[1])), None, Some((1, ids[0]))];
    assert_eq!(found.expect("an answer"), expected);
    for chat in [other.id, ChatId::new(at(0))] {
        let found = store.imported(chat, named.clone()).await;
        assert_eq!(found.expect("an answer"), [None; 3]);
    }
}

pub async fn next_numbers_of_chats_are_given_out_once(store: Subject) {
    let anna = user(&store, "anna").await;
    assert_eq!(chat(&store, &[&anna], 0).await.pk, 1);
    let chosen = NewChat {
        pk: NewPk::Chosen(3),
        ..new_chat(&[&anna], 1)
    };
    store.create_chat(chosen).await.expect("a chat");
    let none = store.next_chat_pks(1, 0).await;
    assert!(none.expect("an answer").is_empty());
    let next = store.next_chat_pks(1, 3).await;
    assert_eq!(next.expect("numbers"), [2, 4, 5]);
    assert_eq!(chat(&store, &[&anna], 0).await.pk, 6);
    let next = store.next_chat_pks(100, 2).await;
    assert_eq!(next.expect("numbers"), [100, 101]);
}

pub async fn messages_up_to_a_given_head_move_no_read_position(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = Chat {
        head: 2,
        ..chat_without_members()
    };
    let record = ChatRecord {
        latest_at: Timestamp::UNIX_EPOCH,
        key: None,
        of_event: None,
        members: vec![MemberRecord {
            user: anna.id,
            place: 0,
            last_read: 1,
            role: MemberRole::Member,
            mute: None,
        }],
        bans: Vec::new(),
        kept: Vec::new(),
        chat: talk.clone(),
    };
    store.take_chats(vec![record]).await.expect("a chat");
    assert_eq!(store.heads(&[talk.id]).await.expect("heads"), [0]);
    for (number, expected) in [(1, 1), (2, 1), (3, 3)] {
        let entry = moved(&talk, &anna, &number.to_string(), number);
        append(&store, vec![entry]).await;
        let records = store.chat_records(0, 9).await.expect("chats");
        assert_eq!(records[0].members[0].last_read, expected, "after {number}");
    }
}

fn chat_without_members() -> Chat {
    Chat {
        pk: 9,
        id: ChatId::new(at(0)),
        ..Chat::example()
    }
}
