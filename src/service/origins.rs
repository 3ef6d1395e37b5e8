//! Which connection has sent which of the latest messages of this node: a message that the relay reads from the store,
//! which does not keep that, may be one whose sender is not answered yet.
//! Does not know what depends on it.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::model::{MessageId, Origin};

/// How many messages one generation has.
const GENERATION: usize = 8192;

/// The origins, in two generations: the older one is forgotten as a whole.
#[derive(Default)]
pub(super) struct Origins(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<MessageId, Origin>,
    old: HashMap<MessageId, Origin>,
}

impl Origins {
    /// This message is about to be stored.
    pub(super) fn note(&self, message: MessageId, origin: Origin) {
        let mut generations = self.0.lock();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(message, origin);
    }

    /// Where this message came from; `None`: from another node, or it is not one of the latest.
    pub(super) fn of(&self, message: MessageId) -> Option<Origin> {
        let generations = self.0.lock();
        let Generations { young, old } = &*generations;
        young.get(&message).or_else(|| old.get(&message)).copied()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::ConnectionId;

    #[test]
    fn the_latest_messages_have_an_origin() {
        let origins = Origins::default();
        let message = || MessageId::new(Timestamp::UNIX_EPOCH);
        let origin = Origin::from(ConnectionId::new(Timestamp::UNIX_EPOCH));
        let first = message();
        origins.note(first, origin);
        for _ in 0..GENERATION {
            origins.note(message(), origin);
        }
        assert_eq!(
            (origins.of(first), origins.of(message())),
            (Some(origin), None)
        );
        for _ in 0..GENERATION {
            origins.note(message(), origin);
        }
        assert_eq!(origins.of(first), None);
    }
}
