//! The promises of `Messages`.
//! Does not know which store is under test.

use super::*;
use crate::model::{History, Message, MessagePage, Metadata, Range, Sent, Seq, Window};
use crate::store::PAGE_BYTES;

/// Appends, and expects every entry to have found its chat.
async fn append(store: &Subject, batch: Vec<PendingMessage>) -> Vec<Sent> {
    let sent = store.append(batch).await.expect("stored");
    sent.into_iter().map(|sent| sent.expect("a chat")).collect()
}

async fn read(store: &Subject, chat: ChatId, range: Range, window: Window) -> MessagePage {
    let history = History { range, window };
    store.messages(chat, history).await.expect("a page")
}

async fn all(store: &Subject, chat: ChatId) -> Vec<Message> {
    let everything = Window::First(100_000);
    read(store, chat, Range::default(), everything)
        .await
        .messages
}

fn seqs(messages: &[Message]) -> Vec<Seq> {
    messages.iter().map(|message| message.seq).collect()
}

fn with_client_id(mut entry: PendingMessage, client_id: &str) -> PendingMessage {
    entry.draft.client_id = Some(client_id.into());
    entry
}

/// A chat of Anna's with so many messages, one every ten milliseconds from the tenth on.
async fn chat_with(store: &Subject, count: i64) -> (User, Chat) {
    let anna = user(store, "anna").await;
    let chat = chat(store, &[&anna], 0).await;
    let batch = (1..=count).map(|number| entry(chat.id, &anna, &number.to_string(), number * 10));
    append(store, batch.collect()).await;
    (anna, chat)
}

pub async fn numbers_begin_at_one_and_have_no_holes(store: Subject) {
    let (anna, chat) = chat_with(&store, 3).await;
    let sent = append(&store, vec![entry(chat.id, &anna, "4", 40)]).await;
    assert!(matches!(&sent[0], Sent::Stored(message) if message.seq == 4));
    let messages = all(&store, chat.id).await;
    assert_eq!(seqs(&messages), [1, 2, 3, 4]);
    assert_eq!(messages[3], **sent[0].message());
}

pub async fn a_batch_for_several_chats_is_numbered_in_each(store: Subject) {
    let anna = user(&store, "anna").await;
    let (one, two) = (
        chat(&store, &[&anna], 0).await,
        chat(&store, &[&anna], 0).await,
    );
    let batch = [one.id, two.id, one.id, two.id, one.id];
    let batch = batch.map(|chat| entry(chat, &anna, "hello", 1));
    let sent = append(&store, batch.to_vec()).await;
    let numbers: Vec<_> = sent.iter().map(|sent| sent.message().seq).collect();
    assert_eq!(numbers, [1, 1, 2, 2, 3]);
}

pub async fn many_batches_at_once_leave_no_hole(store: Subject) {
    let anna = user(&store, "anna").await;
    let chat = chat(&store, &[&anna], 0).await;
    let batch = |number| {
        let entries = (0..5).map(|part| entry(chat.id, &anna, &format!("{number}.{part}"), 1));
        append(&store, entries.collect())
    };
    futures_util::future::join_all((0..20).map(batch)).await;
    let messages = all(&store, chat.id).await;
    assert_eq!(seqs(&messages), (1..=100).collect::<Vec<_>>());
    // A batch stays together and in order.
    for batch in messages.chunks(5) {
        let parts: Vec<_> = batch
            .iter()
            .filter_map(|m| m.text.split_once('.'))
            .collect();
        let expected: Vec<_> = (0..5).map(|part| part.to_string()).collect();
        assert!(parts.iter().all(|(number, _)| *number == parts[0].0));
        assert_eq!(
            parts.iter().map(|(_, part)| *part).collect::<Vec<_>>(),
            expected
        );
    }
}

pub async fn time_never_runs_backwards_in_a_chat(store: Subject) {
    let anna = user(&store, "anna").await;
    let chat = chat(&store, &[&anna], 0).await;
    append(&store, vec![entry(chat.id, &anna, "late", 100)]).await;
    let early = [
        entry(chat.id, &anna, "early", 50),
        entry(chat.id, &anna, "later", 150),
    ];
    append(&store, early.to_vec()).await;
    let times: Vec<_> = all(&store, chat.id)
        .await
        .iter()
        .map(|m| m.created_at)
        .collect();
    assert_eq!(times, [at(100), at(100), at(150)]);
}

pub async fn a_repeated_client_id_answers_the_first_message(store: Subject) {
    let anna = user(&store, "anna").await;
    let chat = chat(&store, &[&anna], 0).await;
    let send = |text| with_client_id(entry(chat.id, &anna, text, 1), "mine");
    let both = append(&store, vec![send("first"), send("again")]).await;
    let Sent::Stored(first) = &both[0] else {
        panic!("nothing was repeated yet: {both:?}")
    };
    assert_eq!(both[1], Sent::Repeated(Arc::clone(first)));
    let later = append(&store, vec![send("later")]).await;
    assert_eq!(later, [Sent::Repeated(Arc::clone(first))]);
    assert_eq!(all(&store, chat.id).await, [(**first).clone()]);
}

pub async fn a_client_id_counts_per_chat_and_sender(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let one = chat(&store, &[&anna, &boris], 0).await;
    let two = chat(&store, &[&anna, &boris], 0).await;
    let batch = [(one.id, &anna), (one.id, &boris), (two.id, &anna)];
    let batch = batch.map(|(chat, sender)| with_client_id(entry(chat, sender, "x", 1), "same"));
    let sent = append(&store, batch.to_vec()).await;
    assert!(
        sent.iter().all(|sent| matches!(sent, Sent::Stored(_))),
        "{sent:?}"
    );
}

pub async fn an_entry_for_no_chat_is_none_and_the_others_stand(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let nowhere = ChatId::new(at(9));
    let batch = vec![
        entry(nowhere, &anna, "lost", 1),
        entry(chat.id, &anna, "found", 1),
    ];
    let sent = store.append(batch).await.expect("stored");
    assert_eq!(sent[0], None);
    assert!(sent[1].is_some());
    assert_eq!(seqs(&all(&store, chat.id).await), [1]);
}

pub async fn a_message_moves_the_activity_of_its_chat_only(store: Subject) {
    let (_, before) = chat_with(&store, 2).await;
    let after = store
        .chat(before.id)
        .await
        .expect("an answer")
        .expect("a chat");
    assert_eq!(after.active_at, at(20));
    assert_eq!((after.modified_at, after.head), (before.modified_at, 2));
}

pub async fn history_is_oldest_first_and_says_if_there_is_more(store: Subject) {
    let (_, chat) = chat_with(&store, 5).await;
    let cases = [
        (Window::First(2), vec![1, 2], true),
        (Window::Last(2), vec![4, 5], true),
        (Window::First(5), vec![1, 2, 3, 4, 5], false),
        (Window::Last(9), vec![1, 2, 3, 4, 5], false),
    ];
    for (window, expected, more) in cases {
        let page = read(&store, chat.id, Range::default(), window).await;
        assert_eq!(
            (seqs(&page.messages), page.has_more),
            (expected, more),
            "{window:?}"
        );
    }
}

pub async fn ranges_of_numbers_exclude_their_ends(store: Subject) {
    let (_, chat) = chat_with(&store, 5).await;
    let cases = [
        (Some(2), None, vec![3, 4, 5]),
        (None, Some(3), vec![1, 2]),
        (Some(1), Some(4), vec![2, 3]),
        (Some(5), None, vec![]),
        (Some(Seq::MAX), None, vec![]),
        (None, Some(0), vec![]),
        (Some(4), Some(2), vec![]),
    ];
    for (after, before, expected) in cases {
        let range = Range {
            after,
            before,
            ..Range::default()
        };
        let page = read(&store, chat.id, range, Window::First(9)).await;
        assert_eq!(seqs(&page.messages), expected, "{range:?}");
        assert!(!page.has_more, "{range:?}");
    }
}

pub async fn ranges_of_time_include_their_ends(store: Subject) {
    let (_, chat) = chat_with(&store, 5).await;
    let cases = [
        (Some(at(20)), Some(at(40)), vec![2, 3, 4]),
        (Some(at(21)), Some(at(39)), vec![3]),
        (None, Some(at(10)), vec![1]),
        (Some(at(50)), None, vec![5]),
        (Some(at(51)), None, vec![]),
        (None, Some(at(9)), vec![]),
        (Some(at(40)), Some(at(20)), vec![]),
        (
            Some(Timestamp::MIN),
            Some(Timestamp::MAX),
            vec![1, 2, 3, 4, 5],
        ),
    ];
    for (from, to, expected) in cases {
        let range = Range {
            from,
            to,
            ..Range::default()
        };
        let page = read(&store, chat.id, range, Window::Last(9)).await;
        assert_eq!(seqs(&page.messages), expected, "{range:?}");
    }
}

pub async fn a_time_is_found_among_many_messages_wherever_it_lies(store: Subject) {
    const MESSAGES: i64 = 1_100;
    // Three at a time, and a long pause in the middle.
    let time = |seq: i64| (seq - 1) / 3 * 10 + if seq > 400 { 1_000_000 } else { 0 };
    let (anna, chat) = chat_with(&store, 0).await;
    let batch = (1..=MESSAGES).map(|seq| entry(chat.id, &anna, "hello", time(seq)));
    append(&store, batch.collect()).await;
    let places = (1..=MESSAGES).step_by(83);
    for seq in places.chain([2, 3, 4, 399, 400, 401, 402, 1_099, 1_100]) {
        for now in [time(seq) - 1, time(seq), time(seq) + 1] {
            let to = Range {
                to: Some(at(now)),
                ..Range::default()
            };
            let last = (1..=MESSAGES).rev().find(|seq| time(*seq) <= now);
            let page = read(&store, chat.id, to, Window::Last(1)).await;
            assert_eq!(seqs(&page.messages), Vec::from_iter(last), "{to:?}");
            let from = Range {
                from: Some(at(now)),
                ..Range::default()
            };
            let first = (1..=MESSAGES).find(|seq| time(*seq) >= now);
            let page = read(&store, chat.id, from, Window::First(1)).await;
            assert_eq!(seqs(&page.messages), Vec::from_iter(first), "{from:?}");
        }
    }
}

pub async fn a_page_ends_early_when_its_texts_are_long(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let long = "x".repeat(PAGE_BYTES / 2);
    let batch = (0..4).map(|_| entry(chat.id, &anna, &long, 1)).collect();
    append(&store, batch).await;
    for (window, expected) in [(Window::First(9), [1, 2]), (Window::Last(9), [3, 4])] {
        let page = read(&store, chat.id, Range::default(), window).await;
        assert_eq!(seqs(&page.messages), expected);
        assert!(page.has_more);
    }
}

pub async fn a_chat_that_does_not_exist_has_no_history(store: Subject) {
    let page = read(
        &store,
        ChatId::new(at(9)),
        Range::default(),
        Window::Last(9),
    )
    .await;
    assert_eq!(page, MessagePage::default());
}

pub async fn a_message_carries_its_sender_and_its_marks(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let mut read = entry(chat.id, &anna, "read", 1);
    read.draft.sent_as_read = true;
    append(&store, vec![read, entry(chat.id, &anna, "unread", 1)]).await;
    let messages = all(&store, chat.id).await;
    let marks: Vec<_> = messages
        .iter()
        .map(|message| message.sent_as_read)
        .collect();
    assert_eq!(marks, [true, false]);
    assert!(messages.iter().all(|message| *message.sender == anna));
    assert!(messages.iter().all(|message| message.chat_pk == chat.pk));
}

pub async fn text_comes_back_as_it_was_given(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let texts = [
        "",
        " \n",
        "мое сообщение",
        "a\0b",
        "\u{1F600}\u{FFFF}",
        "'; DROP TABLE users; --",
    ];
    let batch = texts.map(|text| entry(chat.id, &anna, text, 1));
    append(&store, batch.to_vec()).await;
    let messages = all(&store, chat.id).await;
    let stored: Vec<_> = messages.iter().map(|message| &*message.text).collect();
    assert_eq!(stored, texts);
}

pub async fn photos_come_back_in_their_order(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let mut entry = entry(chat.id, &anna, "", 1);
    entry.draft.photos = vec!["b".into(), "a".into(), "\"'\u{1F600}".into()];
    let photos = entry.draft.photos.clone();
    let stored = append(&store, vec![entry]).await;
    assert_eq!(stored[0].message().photos, photos);
    assert_eq!(all(&store, chat.id).await[0].photos, photos);
}

pub async fn metadata_comes_back_as_it_was_written(store: Subject) {
    let (anna, chat) = chat_with(&store, 0).await;
    let metadata = |json: &str| Metadata::of_json(json.to_owned());
    let written = metadata("{\"b\": 1.0,\n\"a\":[ \"\\u00e9\u{1F600}\" ]}");
    assert!(written.is_some());
    let mut first = entry(chat.id, &anna, "with", 1);
    first.draft.client_id = Some("c".into());
    first.draft.metadata.clone_from(&written);
    let mut again = first.clone();
    again.draft.metadata = metadata("{\"other\":1}");
    for entry in [first, again] {
        let stored = append(&store, vec![entry]).await;
        assert_eq!(stored[0].message().metadata, written, "of the first");
    }
    append(&store, vec![entry(chat.id, &anna, "without", 2)]).await;
    let all = all(&store, chat.id).await.into_iter();
    let found: Vec<_> = all.map(|message| message.metadata).collect();
    assert_eq!(found, [written, None]);
}
