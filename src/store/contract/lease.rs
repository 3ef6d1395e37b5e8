//! The promises about the lease, as one process sees them.
//! Does not know which store it is looking at.

use super::*;
use crate::store::lease::{Held, LeaseState, Mode, Process};

/// A process for a test.
pub(in crate::store) fn process(host: &str) -> Process {
    Process {
        command: "serve".into(),
        host: host.into(),
        pid: 7,
        version: "1.2.3".into(),
    }
}

const MODES: [Mode; 2] = [Mode::Shared, Mode::Exclusive];

async fn take(store: &Subject, mode: Mode) -> Held {
    let taken = store.take_lease(&process("here"), mode).await;
    held(taken.expect("an answer"))
}

/// The lease of the process that has taken or renewed it.
pub(in crate::store) fn held(state: LeaseState) -> Held {
    match state {
        LeaseState::Own(held) => held,
        state => panic!("{state:?}"),
    }
}

pub async fn a_free_lease_is_taken_and_renewed(store: Subject) {
    store.check_lease().expect("nothing was taken");
    let taken = take(&store, Mode::Shared).await;
    assert_eq!(taken.nodes, [store.node()]);
    store.check_lease().expect("it is held");
    let renewed = held(store.renew_lease().await.expect("an answer"));
    assert_eq!(renewed, taken);
    assert!(!renewed.lapsed);
    store.check_lease().expect("it is held");
}

pub async fn its_holder_takes_a_lease_again(store: Subject) {
    for mode in MODES.into_iter().chain(MODES) {
        assert!(!take(&store, mode).await.lapsed);
        let renewed = store.renew_lease().await.expect("an answer");
        assert!(!held(renewed).lapsed, "{mode:?}");
        store.check_lease().expect("it is held");
        let others = store.lease_holders().await.expect("an answer");
        assert_eq!(others, []);
    }
}

pub async fn a_released_lease_is_free(store: Subject) {
    for mode in MODES.into_iter().chain(MODES) {
        take(&store, mode).await;
        store.release_lease().await.expect("released");
    }
    store.release_lease().await.expect("released already");
}
