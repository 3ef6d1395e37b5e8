//! Counts concurrent holders under each key; dropping a [`Slot`] releases it.
//! Does not know the purpose of a count.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// The reserved slots under each key.
#[derive(Debug)]
pub struct Counts<K: Eq + Hash + Clone> {
    most: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// A reserved slot under a key; dropping it releases it.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash + Clone> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Counts<K> {
    /// At most so many slots under each key.
    pub fn new(most: usize) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self { most, held })
    }

    /// The number of slots under each key.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Reserves a slot under this key; `None`: all are taken.
    pub fn take(self: &Arc<Self>, key: K) -> Option<Slot<K>> {
        let mut held = self.held.lock();
        let count = held.get(&key).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        held.insert(key.clone(), count + 1);
        let counts = Arc::clone(self);
        Some(Slot { counts, key })
    }
}

impl<K: Eq + Hash + Clone> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut held = self.counts.held.lock();
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
        // Releases memory after many keys.
        if held.capacity() > 1024 && held.len() < held.capacity() / 8 {
            held.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nobody_ever_holds_more_than_are_allowed_and_all_comes_back(
            most in 0_usize..5,
            turns in proptest::collection::vec((0_u8..3, any::<bool>()), 1..100),
        ) {
            let counts = Counts::new(most);
            let mut slots: Vec<Vec<Slot<u8>>> = vec![Vec::new(), Vec::new(), Vec::new()];
            for (key, comes) in turns {
                let held = &mut slots[usize::from(key)];
                if comes {
                    let before = held.len();
                    held.extend(counts.take(key));
                    prop_assert_eq!(held.len(), most.min(before + 1));
                } else {
                    held.pop();
                }
            }
            drop(slots);
            prop_assert!(counts.held.lock().is_empty());
        }
    }
}
