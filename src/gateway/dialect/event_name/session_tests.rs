//! Where the answers of this dialect go: into the acknowledgement, into an event, or into both.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::EventNameSession;
use crate::gateway::dialect::fixtures::packet;
use crate::gateway::dialect::{Decoded, DialectSession};
use crate::hub::{AckId, Outgoing};
use crate::model::{Chat, ChatId, ChatPage, Error, Message, Missed, Reply, Sent};

const ACK: AckId = AckId(7);
const CHAT: &str = "01950000-0000-7000-8000-000000000001";

/// A session of a client that connects with these options.
fn session(options: &Value) -> Arc<EventNameSession> {
    let session = EventNameSession::new(None);
    session.handshake(options);
    Arc::new(session)
}

/// The kind of a frame: `ack`, or the name of its event.
fn kinds(frames: &[Outgoing]) -> Vec<&'static str> {
    let kind = |frame: &Outgoing| match frame.ack {
        Some(ack) => {
            assert_eq!(ack, ACK);
            "ack"
        }
        None => frame.name.expect("a name"),
    };
    frames.iter().map(kind).collect()
}

/// The frames that answer `text`, if the service returns `outcome` and the messages of its chat are
/// delivered to this connection, or not.
fn answer(
    session: &Arc<EventNameSession>,
    text: &str,
    ack: Option<AckId>,
    outcome: Result<Reply, Error>,
    delivers: bool,
) -> Vec<Outgoing> {
    match Arc::clone(session).decode(&packet(text, ack)) {
        Decoded::Request(_, respond) => respond(outcome, &|_| delivers),
        Decoded::Refused(_, frames) => frames,
    }
}

/// Requests with the answer of the service, and the event of that.
fn requests() -> Vec<(String, Reply, &'static str)> {
    let chat: ChatId = CHAT.parse().expect("an id");
    let missed = Missed {
        reset: false,
        chat,
        messages: Vec::new(),
        head: 3,
        has_more: false,
    };
    let page = ChatPage {
        chats: vec![Chat::example()],
        next: None,
    };
    vec![
        (
            r#"["list-chats",{}]"#.to_owned(),
            Reply::Chats(page),
            "list-chats",
        ),
        (
            format!(r#"["create-chat",{{"users":["{CHAT}"]}}]"#),
            Reply::Chat(Chat::example()),
            "create-chat",
        ),
        (
            format!(r#"["sync",{{"chats":{{"{CHAT}":1}}}}]"#),
            Reply::Synced(vec![Some(missed)]),
            "sync",
        ),
    ]
}

#[test]
fn an_answer_goes_into_the_acknowledgement_or_is_an_event() {
    for options in [
        json!({}),
        json!(null),
        json!({"answers": "all"}),
        json!({"answers": true}),
    ] {
        let session = session(&options);
        for (text, reply, event) in requests() {
            let frames = answer(&session, &text, Some(ACK), Ok(reply.clone()), true);
            assert_eq!(kinds(&frames), ["ack"], "{text}");
            let frames = answer(&session, &text, None, Ok(reply), true);
            assert_eq!(kinds(&frames), [event], "{text}");
        }
    }
}

#[test]
fn a_client_that_wants_both_gets_both_with_the_same_body() {
    let session = session(&json!({"token": "anna", "answers": "both"}));
    session.handshake(&json!({"EIO": "4"}));
    for (text, reply, event) in requests() {
        let frames = answer(&session, &text, Some(ACK), Ok(reply.clone()), true);
        assert_eq!(kinds(&frames), [event, "ack"], "{text}");
        assert_eq!(frames[0].body.json(), frames[1].body.json());
        let frames = answer(&session, &text, None, Ok(reply), true);
        assert_eq!(kinds(&frames), [event], "{text}");
    }
}

#[test]
fn an_error_goes_where_the_answer_would_have_gone() {
    let (one, both) = (session(&json!({})), session(&json!({"answers": "both"})));
    let failed = || Err(Error::rate_limited(250));
    for text in [
        r#"["list-chats",{}]"#,
        r#"["make-coffee",{}]"#,
        r#"["sync",{}]"#,
        "[7]",
    ] {
        assert_eq!(
            kinds(&answer(&one, text, Some(ACK), failed(), true)),
            ["ack"]
        );
        assert_eq!(
            kinds(&answer(&one, text, None, failed(), true)),
            ["exception"]
        );
        let frames = answer(&both, text, Some(ACK), failed(), true);
        assert_eq!(kinds(&frames), ["exception", "ack"], "{text}");
        let [exception, ack] = [0, 1].map(|at: usize| {
            serde_json::from_str::<Value>(frames[at].body.as_str()).expect("JSON")
        });
        assert_eq!(exception["error"], ack["error"]);
        assert_eq!(
            kinds(&answer(&both, text, None, failed(), true)),
            ["exception"]
        );
    }
}

#[test]
fn the_broadcast_of_a_message_is_its_event() {
    let (one, both) = (session(&json!({})), session(&json!({"answers": "both"})));
    let text = format!(r#"["new-message",{{"room":"{CHAT}","msg":"hello","client_id":"c"}}]"#);
    let message = Arc::new(Message {
        created_at: Timestamp::UNIX_EPOCH,
        ..Message::example()
    });
    let stored = || Ok(Reply::Sent(Sent::Stored(Arc::clone(&message))));
    let repeated = || Ok(Reply::Sent(Sent::Repeated(Arc::clone(&message))));
    let kinds = |session, ack, outcome, delivers| {
        kinds(&answer(session, &text, ack, outcome, delivers)).join(" ")
    };
    for (session, delivered, elsewhere) in [(&one, "ack", "ack"), (&both, "ack", "new-message ack")]
    {
        for outcome in [stored(), repeated()] {
            assert_eq!(kinds(session, Some(ACK), outcome.clone(), true), delivered);
            assert_eq!(kinds(session, Some(ACK), outcome, false), elsewhere);
        }
        assert_eq!(kinds(session, None, stored(), true), "");
        assert_eq!(kinds(session, None, stored(), false), "new-message");
        // No other connection receives a repetition, and nothing else answers it.
        assert_eq!(kinds(session, None, repeated(), true), "new-message");
    }
}
