//! `polychat backup` and `polychat restore`: what they print.
//! Does not know how a store is copied.

use std::path::Path;

use jiff::Timestamp;

use crate::store::{self, Content, OpenError, Totals};

/// What clients of a restored store receive.
const CLIENTS: &str = "clients  those with messages that are not in it receive `reset` from `sync`, and load the chat again \
                       (docs/RECONNECTING.md)";

/// Makes a copy of a store in a new file. Returns the lines for people.
///
/// # Errors
/// Why there is no such file, in one sentence.
pub async fn back_up(url: &str, file: &Path) -> Result<Vec<String>, OpenError> {
    let content = store::back_up(url, file).await?;
    Ok(vec![format!("backup   {}; checked", describe(content))])
}

/// Puts a backup in the place of a store; an existing one is kept, with `now` in its name, if it may be replaced. Returns
/// the lines for people.
///
/// # Errors
/// Why the store is as it was, in one sentence.
pub async fn restore(
    file: &Path,
    url: &str,
    replace: bool,
    now: Timestamp,
) -> Result<Vec<String>, OpenError> {
    let suffix = now
        .strftime(".before-restore-%Y%m%dT%H%M%S.%3fZ")
        .to_string();
    let restored = store::restore(file, url, replace, &suffix).await?;
    let kept = restored.kept.iter();
    let mut lines: Vec<_> = kept
        .map(|file| format!("kept     {}", file.display()))
        .collect();
    lines.push(format!("restored {}; checked", describe(restored.content)));
    lines.push(CLIENTS.to_owned());
    Ok(lines)
}

fn describe(content: Content) -> String {
    let Totals {
        users,
        chats,
        messages,
    } = content.totals;
    let [users, chats, messages] = [users, chats, messages].map(grouped);
    let size = size(content.bytes);
    format!("{users} users, {chats} chats, {messages} messages, {size}")
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of bytes in the greatest unit of which there is one, with one digit after the point.
fn size(bytes: u64) -> String {
    let mut unit = 1;
    for name in ["kB", "MB", "GB", "TB"] {
        unit *= 1000;
        // Rounded to tenths of the unit: 999,950 bytes are a megabyte.
        let tenths = (bytes + unit / 20) / (unit / 10);
        if tenths < 10_000 || name == "TB" {
            return format!("{}.{} {name}", grouped(tenths / 10), tenths % 10);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_have_units() {
        for (number, expected) in [
            (0, "0"),
            (12, "12"),
            (999, "999"),
            (1000, "1,000"),
            (4_567, "4,567"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
        for (bytes, expected) in [
            (0, "0.0 kB"),
            (98_304, "98.3 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_249_999, "1.2 MB"),
            (12_345_678_901, "12.3 GB"),
            (5_000_000_000_000_000, "5,000.0 TB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[tokio::test]
    async fn a_backup_is_restored_with_its_totals_and_the_old_store_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let [place, file] = ["chat.db", "copy.db"].map(|name| folder.path().join(name));
        let url = format!("sqlite:{}", place.display());
        let store = store::open(&url).await.expect("a store");
        let lines = back_up(&url, &file).await.expect("a backup");
        store.close().await.expect("closed");
        drop(store);
        let Some(content) = lines[0].strip_prefix("backup   ") else {
            panic!("{lines:?}");
        };
        assert!(
            content.starts_with("0 users, 0 chats, 0 messages, "),
            "{content}"
        );
        let now = "2026-11-28T10:30:00.25Z".parse().expect("a time");
        let lines = restore(&file, &url, true, now).await.expect("restored");
        let kept = format!(
            "kept     {}.before-restore-20261128T103000.250Z",
            place.display()
        );
        assert_eq!(
            lines,
            [kept, format!("restored {content}"), CLIENTS.to_owned()]
        );
    }
}
