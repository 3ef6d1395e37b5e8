//! A connection on the path that all dialects share: its first good frame decides which one
//! it speaks, for good (PROTOCOL, table of addresses).
//! It refuses to know what is said after that.

use std::sync::{Arc, OnceLock};

use parking_lot::MutexGuard;

use super::plain::Plain;
use super::{ALL, Dialect, Encoded, Frame, Heard, Listener, Setting, Talk, by_type};
use crate::model::{ChatId, Command, Error, Notice, Reply};
use crate::telemetry::Spoken;

/// Does not yet know what its client speaks. Until then it answers like the type dialect.
pub struct Undecided {
    setting: Setting,
    fallback: Arc<dyn Talk>,
    decided: OnceLock<Arc<dyn Talk>>,
}

impl Undecided {
    /// A connection that has said nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            fallback: (by_type::DIALECT.begin)(setting.clone()),
            setting,
            decided: OnceLock::new(),
        }
    }

    fn current(&self) -> &Arc<dyn Talk> {
        self.decided.get().unwrap_or(&self.fallback)
    }
}

impl Listener for Undecided {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        if let Some(talk) = self.decided.get() {
            talk.tell(notice, encoded, say);
        }
    }

    fn hears(&self, chat: ChatId) -> bool {
        self.decided.get().is_some_and(|talk| talk.hears(chat))
    }

    fn quiet(&self) -> Option<MutexGuard<'_, ()>> {
        self.decided.get()?.quiet()
    }

    fn opening(&self) -> Option<Command> {
        self.decided.get()?.opening()
    }

    fn opened(&self, reply: Reply, say: &mut dyn FnMut(Frame)) {
        if let Some(talk) = self.decided.get() {
            talk.opened(reply, say);
        }
    }
}

impl Talk for Undecided {
    fn hear(self: Arc<Self>, text: &str) -> Heard {
        if self.decided.get().is_none()
            && let Ok(Plain(frame)) = serde_json::from_str(text)
        {
            let speaks = |dialect: &&Dialect| (dialect.recognises)(&frame);
            if let Some(dialect) = ALL.iter().find(speaks) {
                self.decided
                    .get_or_init(|| (dialect.begin)(self.setting.clone()));
            }
        }
        Arc::clone(self.current()).hear(text)
    }

    fn refuse(&self, text: &str, error: &Error) -> Frame {
        self.current().refuse(text, error)
    }

    fn refuse_binary(&self) -> Frame {
        self.current().refuse_binary()
    }

    fn spoken(&self) -> Spoken {
        let decided = self.decided.get();
        decided.map_or(Spoken::Undecided, |talk| talk.spoken())
    }

    fn watches(&self, chat: ChatId) -> bool {
        self.current().watches(chat)
    }
}
