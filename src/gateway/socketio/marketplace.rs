//! One socket that speaks the marketplace dialect (PROTOCOL §5).
//! It refuses to know its bodies: `dialect::by_event` does.

use std::sync::Arc;

use parking_lot::MutexGuard;
use serde_json::json;

use super::conversation::{Answer, Asked, Tongue};
use super::packet::Request;
use crate::gateway::dialect::by_event::{self, Framing, Question, Visitor, acknowledged, refused};
use crate::gateway::dialect::{Encoded, Frame, Listener};
use crate::model::{Command, Error, Notice, Reply, UserId};

/// What a socket in the namespace makes of what happens and of what it is asked.
pub struct Marketplace(Arc<Visitor>);

impl Marketplace {
    /// A socket of this user.
    pub fn new(user: UserId) -> Self {
        Self(Arc::new(Visitor::new(user, Framing::SocketIo)))
    }
}

impl Listener for Marketplace {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        self.0.tell(notice, encoded, say);
    }

    fn quiet(&self) -> Option<MutexGuard<'_, ()>> {
        self.0.quiet()
    }

    fn opening(&self) -> Option<Command> {
        self.0.opening()
    }

    fn opened(&self, reply: Reply, say: &mut dyn FnMut(Frame)) {
        self.0.opened(reply, say);
    }
}

impl Tongue for Marketplace {
    fn read(&self, request: Request) -> Result<(Command, Answer), Error> {
        let body = request.arguments.into_iter().next();
        let body = body
            .filter(|body| !body.is_null())
            .unwrap_or_else(|| json!({}));
        let by_event::Request { command, question } = by_event::decode(&request.name, &body)?;
        let visitor = Arc::clone(&self.0);
        let answer =
            move |asked: &Asked, reply: &Reply, _: &_| answer(&visitor, &question, asked, reply);
        Ok((command, Box::new(answer)))
    }

    fn refuse(&self, asked: &Asked, error: &Error) -> Vec<Frame> {
        let told = refused(Framing::SocketIo, &asked.name, error);
        let acknowledged = asked
            .ack
            .map(|number| Frame::Ack(number, acknowledged(&asked.name, error)));
        [told].into_iter().chain(acknowledged).collect()
    }
}

/// The events that answer a request, and then its acknowledgement, if it asked for one.
fn answer(visitor: &Visitor, question: &Question, asked: &Asked, reply: &Reply) -> Vec<Frame> {
    let mut frames = visitor.answer(question, reply);
    if let Some(number) = asked.ack {
        let body = visitor.body(question, reply);
        frames.extend(body.map(|body| Frame::Ack(number, body)));
    }
    frames
}
