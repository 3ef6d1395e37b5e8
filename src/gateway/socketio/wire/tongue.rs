//! One socket that speaks the event-name dialect.
//! It refuses to know the JSON: its neighbours do.

use serde_json::Value;

use super::super::conversation::{Answer, Asked, Since, Tongue};
use super::super::packet::Request;
use super::{SYNC, answers, decode, sync};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::sought::{Sought, by_id};
use crate::gateway::dialect::{Encoded, Frame, Listener};
use crate::model::{Command, ConnectionId, Error, Fact, Notice, Reply, Sent};

/// What a Socket.IO connection makes of what happens and of what it is asked.
pub struct EventName(pub Option<ConnectionId>);

impl Listener for EventName {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        // The one who made a chat has it in its answer already.
        if matches!(notice.fact, Fact::ChatCreated(_))
            && notice.origin.is_some()
            && notice.origin == self.0
        {
            return;
        }
        if let Some(frame) = encoded.once("event-name", || answers::encode(&notice.fact)) {
            say(frame);
        }
    }
}

impl Tongue for EventName {
    fn read(&self, request: Request) -> Result<(Command, Answer), Error> {
        if request.name == SYNC {
            let (sought, command) = sync(&request)?;
            let answer =
                move |asked: &Asked, reply: &Reply, _: &_| caught_up(&sought, asked, reply);
            return Ok((command, Box::new(answer)));
        }
        Ok((decode(request)?, Box::new(answer)))
    }

    fn since(&self, auth: &Value) -> Result<Option<Since>, Error> {
        let Some(since) = auth.get("since").filter(|since| !since.is_null()) else {
            return Ok(None);
        };
        let sought = Sought::read(Some(since), "auth.since", by_id)?;
        if sought.is_empty() {
            return Ok(None);
        }
        let chats = sought.chats();
        let say = move |reply: &Reply| match reply {
            Reply::Synced(synced) => answers::replay(&sought, synced),
            _ => Vec::new(),
        };
        Ok(Some((chats, Box::new(say))))
    }

    fn refuse(&self, asked: &Asked, error: &Error) -> Vec<Frame> {
        vec![match asked.ack {
            Some(number) => Frame::Ack(number, answers::refusal(error)),
            None => answers::exception(&asked.name, error),
        }]
    }
}

fn answer(asked: &Asked, reply: &Reply, connection: &Connection) -> Vec<Frame> {
    if asked.ack.is_none() && hears_of(connection, reply) {
        return Vec::new();
    }
    let answer = answers::answer(reply);
    let frame = answer.map(|(name, body)| match asked.ack {
        Some(number) => Frame::Ack(number, body),
        None => Frame::Event(name, body),
    });
    frame.into_iter().collect()
}

fn caught_up(sought: &Sought, asked: &Asked, reply: &Reply) -> Vec<Frame> {
    let Reply::Synced(synced) = reply else {
        return Vec::new();
    };
    let body = answers::synced(sought, synced);
    vec![match asked.ack {
        Some(number) => Frame::Ack(number, body),
        None => Frame::Event(SYNC, body),
    }]
}

/// Whether the answer reaches this socket by itself: a new message of a chat that it receives.
fn hears_of(connection: &Connection, reply: &Reply) -> bool {
    match reply {
        Reply::Sent(Sent::Stored(message)) => connection.receives(message.chat),
        _ => false,
    }
}
