//! Lone surrogates in JSON: JavaScript cuts texts between UTF-16 units, and sends half of a
//! character as an escape, `"\ud83d"`. No UTF-8 text can hold that, and `serde_json` refuses all
//! of the JSON around it.
//! Does not know JSON, but for the escapes in its strings.

use std::borrow::Cow;

/// The first half of a pair.
const HIGH: std::ops::RangeInclusive<u16> = 0xD800..=0xDBFF;
/// The second half.
const LOW: std::ops::RangeInclusive<u16> = 0xDC00..=0xDFFF;

/// How long an escape is, `\u` and four digits, in bytes.
const ESCAPE: usize = 6;

/// This JSON with U+FFFD in place of each lone surrogate. Everything else stays where it is: the
/// columns that an error names are those of the original.
pub fn replaced(json: &str) -> Cow<'_, str> {
    // The escapes of surrogates begin like this, and those of few other characters.
    if !json.contains(r"\ud") && !json.contains(r"\uD") {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let (mut replaced, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(distance) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += distance;
        match unit(bytes, at) {
            Some(unit) if HIGH.contains(&unit) && is_low(bytes, at + ESCAPE) => at += 2 * ESCAPE,
            Some(unit) if HIGH.contains(&unit) || LOW.contains(&unit) => {
                replaced.push_str(&json[copied..at]);
                replaced.push_str(r"\ufffd");
                at += ESCAPE;
                copied = at;
            }
            // Skips an escaped backslash, so that it does not begin another escape.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    replaced.push_str(&json[copied..]);
    Cow::Owned(replaced)
}

fn is_low(json: &[u8], at: usize) -> bool {
    unit(json, at).is_some_and(|unit| LOW.contains(&unit))
}

/// The UTF-16 unit that is escaped here; `None`: there is no such escape.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = digits
        .iter()
        .try_fold(0, |value, byte| Some(value * 16 + digit(byte)?));
    u16::try_from(value?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::{Deserializer, Visitor};

    use super::*;

    fn read(json: &str) -> Option<String> {
        serde_json::from_str(&replaced(json)).ok()
    }

    #[test]
    fn half_a_character_becomes_a_replacement() {
        for (json, expected) in [
            (r#""\ud83d""#, "\u{FFFD}"),
            (r#""\uDE00""#, "\u{FFFD}"),
            (r#""Hello \ud83d""#, "Hello \u{FFFD}"),
            (r#""\ud83dx\ude00""#, "\u{FFFD}x\u{FFFD}"),
            (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"),
            (r#""\ud83d\\ude00""#, "\u{FFFD}\\ude00"),
            (r#""\ud83d\u0041""#, "\u{FFFD}A"),
        ] {
            assert_eq!(read(json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn everything_else_stays() {
        for json in [
            r#""""#,
            r#""Hello 😀""#,
            r#""\ud83d\ude00""#,
            r#""\uD83D\uDE00""#,
            r#""\\ud83d""#,
            r#""\\\\ud83d\\""#,
            r#""\ud7ff\ue000""#,
            r#""\ud83""#,
            r#""\ud8+1""#,
            r#""\udé""#,
            r"\ud",
            r"\ud7ff\",
        ] {
            assert!(
                matches!(replaced(json), Cow::Borrowed(same) if same == json),
                "{json}"
            );
        }
    }

    /// Valid JSON strings, from pieces in every order.
    fn string() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "\\\\u[dD][89abAB][0-9a-fA-F]{2}",
            4 => "\\\\u[dD][c-fC-F][0-9a-fA-F]{2}",
            2 => "\\\\u[0-9a-fA-F]{4}",
            2 => "\\\\[\\\\\"/bfnrt]",
            2 => "[ud89abcdeDEF0-9]{1,4}",
            1 => "[é😀]",
        ];
        let pieces = prop::collection::vec(piece, 0..12);
        pieces.prop_map(|pieces| format!("\"{}\"", pieces.concat()))
    }

    /// The string as `serde_json` gives it out as bytes: it lets lone surrogates through there, each
    /// as three bytes that are no UTF-8.
    fn reference(json: &str) -> String {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }

        let mut deserializer = serde_json::Deserializer::from_str(json);
        let bytes = deserializer.deserialize_bytes(Bytes).expect("a string");
        let (mut text, mut rest) = (String::new(), &*bytes);
        while let Err(error) = std::str::from_utf8(rest) {
            let (good, bad) = rest.split_at(error.valid_up_to());
            text.push_str(std::str::from_utf8(good).expect("valid up to here"));
            text.push('\u{FFFD}');
            rest = &bad[3..];
        }
        text + std::str::from_utf8(rest).expect("valid to the end")
    }

    proptest! {
        #[test]
        fn every_string_is_read_with_a_replacement_for_each_half(json in string()) {
            prop_assert_eq!(replaced(&json).len(), json.len());
            prop_assert_eq!(read(&json), Some(reference(&json)));
        }

        #[test]
        fn no_text_becomes_json_by_it(text in "[\\\\\"ud8eEfF{}:,\\[\\]😀 ]{0,24}") {
            let value = |text: &str| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
            prop_assert_eq!(value(&text), value(&replaced(&text)));
        }
    }
}
