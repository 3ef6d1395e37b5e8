//! A session on the path that all dialects share: the first valid frame selects its dialect
//! (docs/protocols/README.md).
//! Does not know the frames after the first.

use std::sync::{Arc, OnceLock};

use parking_lot::MutexGuard;

use super::untrusted_json::{UntrustedJson, from_str};
use super::{ALL, Decoded, Dialect, DialectSession, Incoming, SessionOptions, type_data};
use crate::hub::{AnswerPlace, Outgoing, SharedEncoding, Subscriber};
use crate::model::{ChatId, Command, Error, Notice, Reply, RequestNumber};
use crate::telemetry::DialectLabel;

/// A session whose dialect is not known yet. Until then it answers in the type dialect.
pub struct Autodetect {
    options: SessionOptions,
    fallback: Arc<dyn DialectSession>,
    decided: OnceLock<Arc<dyn DialectSession>>,
}

impl Autodetect {
    /// A session that has received nothing.
    pub fn new(options: SessionOptions) -> Self {
        Self {
            fallback: (type_data::DIALECT.begin)(options.clone()),
            options,
            decided: OnceLock::new(),
        }
    }

    fn current(&self) -> &Arc<dyn DialectSession> {
        self.decided.get().unwrap_or(&self.fallback)
    }
}

impl Subscriber for Autodetect {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        if let Some(session) = self.decided.get() {
            session.encode(notice, shared, sink);
        }
    }

    fn is_subscribed(&self, chat: ChatId) -> bool {
        let decided = self.decided.get();
        decided.is_some_and(|session| session.is_subscribed(chat))
    }

    fn answer_place(&self, chat: ChatId) -> AnswerPlace {
        let decided = self.decided.get();
        decided.map_or(AnswerPlace::Apart, |session| session.answer_place(chat))
    }
}

impl DialectSession for Autodetect {
    fn label(&self) -> DialectLabel {
        let decided = self.decided.get();
        decided.map_or(DialectLabel::Undecided, |session| session.label())
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        if self.decided.get().is_none()
            && let Ok(UntrustedJson(frame)) = from_str(&incoming.text)
        {
            let recognises = |dialect: &&Dialect| (dialect.recognises)(&frame);
            if let Some(dialect) = ALL.iter().find(recognises) {
                self.decided
                    .get_or_init(|| (dialect.begin)(self.options.clone()));
            }
        }
        Arc::clone(self.current()).decode(incoming)
    }

    fn request_number(&self) -> Option<RequestNumber> {
        self.current().request_number()
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        self.current().request_name(incoming)
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        self.current().refuse(incoming, error)
    }

    fn not_text(&self) -> Error {
        self.current().not_text()
    }

    fn opening(&self) -> Option<Command> {
        self.decided.get()?.opening()
    }

    fn opened(&self, reply: Reply, sink: &mut dyn FnMut(Outgoing)) {
        if let Some(session) = self.decided.get() {
            session.opened(reply, sink);
        }
    }

    fn delivery_lock(&self) -> Option<MutexGuard<'_, ()>> {
        self.decided.get()?.delivery_lock()
    }

    fn watches(&self, chat: ChatId) -> bool {
        self.current().watches(chat)
    }
}
