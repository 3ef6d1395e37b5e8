//! Which values are kept, and how much of them.

use super::*;

type Kept = Recent<Box<str>, i64>;

fn empty() -> Kept {
    Recent::new(1 << 20, |key, _| key.len())
}

fn keep(kept: &Kept, key: &str, value: i64) {
    let (_, stamp) = kept.look(key);
    kept.keep(key.into(), value, stamp);
}

fn get(kept: &Kept, key: &str) -> Option<i64> {
    kept.look(key).0
}

#[test]
fn what_was_read_is_kept_until_it_changes() {
    let kept = empty();
    assert_eq!(get(&kept, "anna"), None);
    keep(&kept, "anna", 1);
    assert_eq!(get(&kept, "anna"), Some(1));
    let (_, stamp) = kept.look("anna");
    assert!(kept.is_current(stamp));
    kept.changed("anna");
    assert!(!kept.is_current(stamp));
    assert_eq!(get(&kept, "anna"), None);
}

#[test]
fn what_was_read_before_a_change_is_not_kept_after_it() {
    let kept = empty();
    let (_, stamp) = kept.look("anna");
    kept.changed("anna");
    kept.keep("anna".into(), 1, stamp);
    assert_eq!(get(&kept, "anna"), None);
    let (_, stamp) = kept.look("anna");
    kept.forget_all();
    kept.keep("anna".into(), 1, stamp);
    assert_eq!(get(&kept, "anna"), None);
    keep(&kept, "anna", 2);
    assert_eq!(get(&kept, "anna"), Some(2));
}

#[test]
fn of_two_who_write_at_once_neither_is_believed() {
    let kept = empty();
    let (_, stamp) = kept.look("anna");
    kept.replace("anna".into(), 1, stamp);
    assert_eq!(get(&kept, "anna"), Some(1));
    // It began before, too: which of them the store has is unknown.
    kept.replace("anna".into(), 2, stamp);
    assert_eq!(get(&kept, "anna"), None);
    // Nor is a read before, or between.
    kept.keep("anna".into(), 1, stamp);
    assert_eq!(get(&kept, "anna"), None);
}

#[test]
fn a_value_that_grows_is_never_replaced_by_less() {
    let kept = empty();
    let (_, stamp) = kept.look("chat");
    kept.raise("chat".into(), 7);
    kept.raise("chat".into(), 6);
    // A read of the store came before.
    kept.keep("chat".into(), 5, stamp);
    assert_eq!(get(&kept, "chat"), Some(7));
}

#[test]
fn what_grew_and_was_forgotten_is_not_replaced_by_less_either() {
    let kept = empty();
    let (_, stamp) = kept.look("chat");
    kept.raise("chat".into(), 7);
    for other in 0..100_000 {
        kept.raise(other.to_string().into(), 1);
    }
    assert_eq!(get(&kept, "chat"), None, "forgotten");
    kept.keep("chat".into(), 5, stamp);
    assert_eq!(get(&kept, "chat"), None);
}

#[test]
fn it_stays_within_its_bound_and_keeps_what_is_used() {
    const BYTES: usize = 1 << 20;
    let kept = empty();
    keep(&kept, "used", 1);
    for other in 0..50_000 {
        keep(&kept, &other.to_string(), 1);
        if other % 100 == 0 {
            assert_eq!(get(&kept, "used"), Some(1), "after {other}");
        }
    }
    let entries = |part: &Mutex<Part<_, _>>| {
        let part = part.lock();
        part.young.len() + part.old.len()
    };
    let count: usize = kept.parts.iter().map(entries).sum();
    assert!(count * PLACE <= BYTES, "{count} entries");
    assert!(count * PLACE * 3 > BYTES, "{count} entries");
}

#[test]
fn what_is_too_large_is_not_kept() {
    let kept = empty();
    let large = "x".repeat(1 << 20);
    keep(&kept, &large, 1);
    assert_eq!(get(&kept, &large), None);
    keep(&kept, "small", 1);
    assert_eq!(get(&kept, "small"), Some(1));
}
