//! The promises about the lease, as one process sees them.
//! Does not know which store it is looking at.

use super::*;
use crate::store::lease::{LeaseState, Process};

/// A process for a test.
pub(in crate::store) fn process(host: &str) -> Process {
    Process {
        command: "serve".into(),
        host: host.into(),
        pid: 7,
        version: "1.2.3".into(),
    }
}

async fn take(store: &Subject) -> LeaseState {
    let taken = store.take_lease(&process("here")).await;
    taken.expect("an answer")
}

pub async fn a_free_lease_is_taken_and_renewed(store: Subject) {
    store.check_lease().expect("nothing was taken");
    assert_eq!(take(&store).await, LeaseState::Own);
    store.check_lease().expect("it is held");
    let renewed = store.renew_lease().await.expect("an answer");
    assert_eq!(renewed, LeaseState::Own);
    store.check_lease().expect("it is held");
}

pub async fn its_holder_takes_a_lease_again(store: Subject) {
    for _ in 0..2 {
        assert_eq!(take(&store).await, LeaseState::Own);
    }
    store.check_lease().expect("it is held");
}

pub async fn a_released_lease_is_free(store: Subject) {
    for _ in 0..2 {
        assert_eq!(take(&store).await, LeaseState::Own);
        store.release_lease().await.expect("released");
    }
    store.release_lease().await.expect("released already");
}
