//! A bounded cache of results of the store, with stamps that show when they are outdated.
//! Does not know the values, and reads no store.
//!
//! The rule by which nothing outdated is kept or used. A change of the store is followed by
//! [`Recent::changed`] once the store has answered, and is announced only then. A read of the store
//! is preceded by a [`Stamp`], and [`Recent::keep`] drops its answer if something was changed, or
//! forgotten, since that stamp. So a kept answer includes every change that has been announced.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Into how many parts the keys are divided, each with a lock and a share of the memory.
const PARTS: usize = 16;

/// How many counters of changes there are. Keys that share one are changed together.
const COUNTERS: usize = 4096;

/// The bytes of an entry besides the values it points to: its slot in a half-empty table.
const PLACE: usize = 128;

/// Values by their keys, those used lately.
pub(super) struct Recent<K, V> {
    hasher: RandomState,
    parts: Box<[Mutex<Part<K, V>>]>,
    counters: Box<[AtomicU64]>,
    /// The capacity of one generation of one part, in bytes.
    bytes: usize,
    weigh: fn(&K, &V) -> usize,
}

/// Two generations: used entries move into the young one, and when that is full the old one is
/// forgotten as a whole and the young one becomes old.
struct Part<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// The size of the young generation.
    bytes: usize,
    /// Counts entries that were forgotten without having been changed.
    forgotten: u64,
}

/// A moment in the life of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    counter: usize,
    changes: u64,
    forgotten: u64,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// Keeps about so many bytes at most. `weigh` returns the size of the memory that a key and a
    /// value point to.
    pub(super) fn new(bytes: usize, weigh: fn(&K, &V) -> usize) -> Self {
        let part = |_| {
            Mutex::new(Part {
                young: HashMap::new(),
                old: HashMap::new(),
                bytes: 0,
                forgotten: 0,
            })
        };
        Self {
            hasher: RandomState::new(),
            parts: (0..PARTS).map(part).collect(),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            bytes: bytes / PARTS / 2,
            weigh,
        }
    }

    /// The cached value of this key, and the stamp of the lookup.
    pub(super) fn look<Q>(&self, key: &Q) -> (Option<V>, Stamp)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let counter = self.counter(key);
        let mut part = self.parts[counter % PARTS].lock();
        let found = match part.young.get(key) {
            Some(value) => Some(value.clone()),
            None => part.old.remove_entry(key).map(|(key, value)| {
                self.put(&mut part, key, value.clone());
                value
            }),
        };
        let stamp = Stamp {
            counter,
            changes: self.counters[counter].load(Ordering::Acquire),
            forgotten: part.forgotten,
        };
        (found, stamp)
    }

    /// Whether nothing of that key was changed since.
    fn is_current(&self, stamp: Stamp) -> bool {
        self.counters[stamp.counter].load(Ordering::Acquire) == stamp.changes
    }

    /// Keeps a value read after `stamp`, unless something is kept already.
    pub(super) fn keep(&self, key: K, value: V, stamp: Stamp) {
        let mut part = self.parts[stamp.counter % PARTS].lock();
        if !self.is_untouched(&part, stamp) || part.young.contains_key(&key) {
            return;
        }
        if !part.old.contains_key(&key) {
            self.put(&mut part, key, value);
        }
    }

    /// Records that the store was changed since `stamp`, to `value`, which is kept if there was no
    /// other change meanwhile.
    pub(super) fn replace(&self, key: K, value: V, stamp: Stamp) {
        let mut part = self.parts[stamp.counter % PARTS].lock();
        let untouched = self.is_untouched(&part, stamp);
        self.count_and_remove(&mut part, &key, stamp.counter);
        if untouched {
            self.put(&mut part, key, value);
        }
    }

    /// Records how far a value has grown that never shrinks.
    pub(super) fn raise(&self, key: K, value: V)
    where
        V: Ord,
    {
        let mut part = self.parts[self.counter(&key) % PARTS].lock();
        let Part { young, old, .. } = &mut *part;
        match young.get_mut(&key).or_else(|| old.get_mut(&key)) {
            Some(kept) if *kept < value => *kept = value,
            Some(_) => {}
            None => self.put(&mut part, key, value),
        }
    }

    /// Records that the store has, or may have, something else under this key now.
    pub(super) fn changed<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let counter = self.counter(key);
        let mut part = self.parts[counter % PARTS].lock();
        self.count_and_remove(&mut part, key, counter);
    }

    /// Forgets everything; values being read at this moment will not be kept.
    pub(super) fn forget_all(&self) {
        for part in &self.parts {
            let mut part = part.lock();
            part.forgotten += 1;
            part.bytes = 0;
            (part.young, part.old) = (HashMap::new(), HashMap::new());
        }
    }

    fn counter<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        let hash = self.hasher.hash_one(key) % (COUNTERS as u64);
        usize::try_from(hash).unwrap_or(0)
    }

    fn is_untouched(&self, part: &Part<K, V>, stamp: Stamp) -> bool {
        part.forgotten == stamp.forgotten && self.is_current(stamp)
    }

    fn count_and_remove<Q>(&self, part: &mut Part<K, V>, key: &Q, counter: usize)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.counters[counter].fetch_add(1, Ordering::AcqRel);
        if let Some((key, value)) = part.young.remove_entry(key) {
            part.bytes = part.bytes.saturating_sub(self.weight(&key, &value));
        }
        part.old.remove(key);
    }

    fn put(&self, part: &mut Part<K, V>, key: K, value: V) {
        let weight = self.weight(&key, &value);
        if weight > self.bytes {
            // A value that is not kept counts as evicted: an older one must not take its place.
            part.forgotten += 1;
            return;
        }
        if part.bytes + weight > self.bytes {
            part.old = std::mem::take(&mut part.young);
            part.bytes = 0;
            part.forgotten += 1;
        }
        part.bytes += weight;
        part.young.insert(key, value);
    }

    fn weight(&self, key: &K, value: &V) -> usize {
        PLACE + (self.weigh)(key, value)
    }
}

#[cfg(test)]
#[path = "recent_tests.rs"]
mod tests;
