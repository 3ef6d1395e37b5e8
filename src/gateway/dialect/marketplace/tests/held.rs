//! Notices during the initial data: each is sent once afterwards, and none that is older than the
//! initial data.

use serde_json::{Value, json};

use super::scene::{
    chat, decided, delivered, enter, entering, fresh, gleb, inside, market, message, olga, opened,
    read, read_frames, sent, state,
};
use crate::gateway::dialect::DialectSession;
use crate::gateway::dialect::fixtures::encode;
use crate::hub::SharedEncoding;
use crate::model::{
    Access, Command, EventChat, EventChatState, Marketplace, MessagePage, Reads, Reply, Seq,
};

/// With so many queued notices the initial data is read once more.
const TOO_MANY: usize = 4096;

/// Each name with the numbers of its messages and, if it has some, the two counts.
fn gist(events: &[(String, Value)]) -> Vec<String> {
    let line = |(name, body): &(String, Value)| match &**name {
        "chat_updates" => {
            let messages = body["messages"].as_array().expect("a list");
            let numbers = messages.iter().map(|message| &message["messageId"]);
            let numbers: Vec<String> = numbers.map(Value::to_string).collect();
            format!("messages [{}] {}", numbers.join(","), counts(body))
        }
        "chat_unread" => format!("unread {}", counts(body)),
        name => name.to_owned(),
    };
    events.iter().map(line).collect()
}

fn counts(body: &Value) -> String {
    let (mine, others) = (&body["myUnreadCount"], &body["interlocutorUnreadCount"]);
    format!("{mine}/{others}")
}

/// The chat with so many messages, all of them Olga's, of which Gleb has read some.
fn unread(head: Seq, guest_read: Seq) -> EventChat {
    chat(state(head, head, guest_read))
}

fn decision(access: Access, version: i64) -> EventChat {
    chat(EventChatState {
        access,
        access_version: version,
        ..state(0, 0, 0)
    })
}

#[test]
fn what_happens_before_initial_data_is_sent_after_it_and_in_order() {
    let session = entering(&gleb());
    let notices = [
        sent(&unread(1, 0), 1, &olga()),
        read(&unread(1, 1)),
        sent(&unread(2, 1), 2, &olga()),
        decided(&unread(2, 1)),
    ];
    for notice in &notices {
        assert!(delivered(&session, notice).is_empty(), "it waits");
    }
    let events = enter(&session, Marketplace::default());
    let expected = [
        "initial_data",
        "messages [1] 1/0",
        "unread 1/0",
        "unread 0/0",
        "messages [2] 1/0",
        "unread 1/0",
        "messages [] 1/0",
    ];
    assert_eq!(gist(&events), expected);
    let events = delivered(&session, &sent(&unread(3, 1), 3, &olga()));
    assert_eq!(gist(&events), ["messages [3] 2/0", "unread 2/0"]);
}

#[test]
fn a_message_already_shown_is_not_sent_twice_but_its_counts_are() {
    let present = unread(2, 0);
    let shown = [1, 2].map(|seq| message(&present, seq, &olga(), "shown"));
    let session = entering(&gleb());
    delivered(&session, &sent(&unread(2, 0), 2, &olga()));
    delivered(&session, &sent(&unread(3, 0), 3, &olga()));
    let events = enter(&session, market(&present, shown.to_vec()));
    let expected = [
        "initial_data",
        "unread 2/0",
        "messages [3] 3/0",
        "unread 3/0",
    ];
    assert_eq!(gist(&events), expected);
    let late = delivered(&session, &sent(&unread(1, 0), 1, &olga()));
    assert_eq!(gist(&late), ["unread 3/0"], "nor when it comes late");
}

#[test]
fn what_was_still_under_way_does_not_turn_the_counts_back() {
    let late = [
        (sent(&unread(4, 0), 4, &olga()), vec!["unread 1/0"]),
        (read(&unread(4, 2)), vec!["unread 1/0"]),
        (read(&unread(3, 3)), vec!["unread 1/0"]),
        (decided(&unread(2, 0)), vec!["messages [] 1/0"]),
        (opened(&unread(0, 0)), vec!["messages [] 1/0"]),
    ];
    for (notice, expected) in late {
        let before = entering(&gleb());
        delivered(&before, &notice);
        let events = enter(&before, market(&unread(5, 4), Vec::new()));
        assert_eq!(
            gist(&events)[1..],
            expected,
            "delivered before initial_data"
        );
        let after = inside(&gleb(), market(&unread(5, 4), Vec::new()));
        assert_eq!(
            gist(&delivered(&after, &notice)),
            expected,
            "delivered after it"
        );
    }
}

#[test]
fn what_was_still_under_way_does_not_take_a_decision_back() {
    let granted = decision(Access::Granted, 2);
    for (late, expected) in [
        (decision(Access::Asked, 1), true),
        (decision(Access::Granted, 2), true),
        (decision(Access::Asked, 3), false),
    ] {
        let session = inside(&gleb(), market(&granted, Vec::new()));
        let events = delivered(&session, &decided(&late));
        assert_eq!(events[0].1["isAccessGranted"], json!(expected));
    }
}

#[test]
fn what_is_news_to_one_is_sent_to_another_as_it_is() {
    let notice = read(&unread(4, 2));
    let ahead = inside(&gleb(), market(&unread(5, 4), Vec::new()));
    for ahead_first in [true, false] {
        let mut encoded = SharedEncoding::default();
        let sessions = if ahead_first {
            [&ahead, &fresh(&gleb())].map(|session| encode(session, &notice, &mut encoded))
        } else {
            let mut events =
                [&fresh(&gleb()), &ahead].map(|session| encode(session, &notice, &mut encoded));
            events.reverse();
            events
        };
        let events = sessions.map(|frames| gist(&read_frames(&frames)));
        assert_eq!(events, [["unread 1/0"], ["unread 2/0"]]);
    }
}

#[test]
fn a_connection_asks_until_it_was_answered() {
    let session = entering(&gleb());
    assert_eq!(session.opening(), Some(Command::EnterMarketplace));
    let other = Reply::Messages(MessagePage::default(), Reads::default());
    session.opened(other, &mut |frame| panic!("{frame:?}"));
    assert_eq!(session.opening(), Some(Command::EnterMarketplace));
    enter(&session, Marketplace::default());
    assert_eq!(session.opening(), None);
    let again = enter(&session, market(&unread(5, 0), Vec::new()));
    assert!(again.is_empty(), "it has begun already");
}

/// Gleb's connection, with so many notices before its initial data.
fn flooded(count: usize) -> impl DialectSession {
    let session = entering(&gleb());
    for seq in 1..=count {
        let seq = Seq::try_from(seq).expect("a number");
        let events = delivered(&session, &sent(&unread(seq, 0), seq, &olga()));
        assert!(events.is_empty());
    }
    session
}

#[test]
fn as_many_notices_as_may_wait_are_all_sent() {
    let session = flooded(TOO_MANY - 1);
    let events = enter(&session, Marketplace::default());
    assert_eq!(session.opening(), None);
    let numbers = events.iter().filter(|(name, _)| name == "chat_updates");
    let numbers = numbers.map(|(_, body)| body["messages"][0]["messageId"].as_u64());
    let expected = (1..TOO_MANY as u64).map(Some);
    assert!(numbers.eq(expected), "each once, in order");
}

#[test]
fn after_too_many_notices_it_asks_again_and_nothing_is_lost_or_doubled() {
    let session = flooded(TOO_MANY + 3);
    let stale = enter(&session, market(&unread(2, 0), Vec::new()));
    assert!(stale.is_empty(), "{} frames", stale.len());
    assert_eq!(session.opening(), Some(Command::EnterMarketplace));
    let head = Seq::try_from(TOO_MANY).expect("a number") + 3;
    let shown = message(&unread(head, 0), head, &olga(), "shown");
    // Delivered while it is read for the second time.
    for seq in [head, head + 1] {
        let events = delivered(&session, &sent(&unread(seq, 0), seq, &olga()));
        assert!(events.is_empty());
    }
    let events = enter(&session, market(&unread(head, 0), vec![shown]));
    let later = head + 1;
    let expected = [
        "initial_data".to_owned(),
        format!("unread {head}/0"),
        format!("messages [{later}] {later}/0"),
        format!("unread {later}/0"),
    ];
    assert_eq!(gist(&events), expected);
    assert_eq!(session.opening(), None);
}
