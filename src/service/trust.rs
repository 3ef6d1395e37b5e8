//! Whether what is cached of the store may be used: as long as the changes of other nodes are heard.
//! Does not cache anything.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::Bus;

/// How long after this node has last heard itself it counts as cut off from the others.
const UNHEARD: Duration = Duration::from_secs(5);

/// The bus, as far as caches depend on it.
#[derive(Clone, Default)]
pub(super) struct Trust(Option<Arc<dyn Bus>>);

impl Trust {
    pub(super) fn in_bus(bus: &Arc<dyn Bus>) -> Self {
        Self(Some(Arc::clone(bus)))
    }

    /// Whether what is cached is right, but for changes of the last seconds by other nodes ([`crate::bus::RELIANCE`]).
    pub(super) fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|bus| bus.is_heard())
    }

    /// Whether the bus works, as far as this node can tell without the others.
    pub(super) fn hears_itself(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|bus| bus.health().unheard < UNHEARD)
    }

    /// Whether it is right without exception: no other node uses the store.
    pub(super) fn is_complete(&self) -> bool {
        self.0.as_ref().is_none_or(|bus| bus.is_alone())
    }
}
