//! Generates inputs that are likely to break a decoder: valid ones with something wrong in them.
//! Does not know any decoder: the words and the samples come from there.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The parts of a decoder's valid inputs.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// Whole inputs, as JSON.
    pub samples: &'static [&'static str],
    /// The keys of its objects.
    pub keys: &'static [&'static str],
    /// Texts that mean something to it.
    pub texts: &'static [&'static str],
}

/// JSON that is at some edge, or just beyond it.
const EDGES: [&str; 54] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "4",
    "1.0",
    "1.5",
    "-1e-7",
    "1E0",
    "1e2",
    "1e400",
    "-1e400",
    "1e-400",
    "01",
    "+1",
    "1.",
    ".5",
    "NaN",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "9007199254740992.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    r#""""#,
    r#"" ""#,
    r#""\u00a0\u2003""#,
    r#""\u0000""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\ud83d\ude00""#,
    r#""\u0438\u0306""#,
    r#""\\\"\/\b\f\n\r\t\u007f\u0085\u2028""#,
    r#""\x""#,
    r#""1""#,
    r#"" 4 ""#,
    r#""+4""#,
    r#""-0""#,
    r#""9007199254740993""#,
    r#""99999999999999999999""#,
    r#""0x10""#,
    r#""１""#,
    "[]",
    "{}",
    "[null]",
    r#"{"$serde_json::private::RawValue":"[1]"}"#,
    r#"{"$serde_json::private::Number":"1"}"#,
];

/// Unexpected characters.
const ODD: &str = "\0\u{1}\n\r\t \"\\{}[]:,.+-0eE%&=#;/\u{7f}\u{85}\u{a0}\u{feff}\u{202e}é😀";

/// JSON made of these words, as text: it may be JSON that no value can hold.
pub fn json(words: Words) -> BoxedStrategy<String> {
    let nested = scalar(words).prop_recursive(4, 24, 6, move |inner| {
        let fields = vec((select(words.keys), inner.clone()), 0..6);
        let object = fields.prop_map(|fields| {
            let field = |(key, value): &(&str, String)| format!("\"{key}\":{value}");
            let fields: Vec<_> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        });
        let list = vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(",")));
        prop_oneof![3 => object, 1 => list]
    });
    prop_oneof![30 => nested, 1 => deep()].boxed()
}

/// Lists in lists, at and beyond the depth that is read.
fn deep() -> impl Strategy<Value = String> {
    (100_usize..300, select(&["[", "{\"data\":", "[{\"a\":"][..])).prop_map(|(depth, open)| {
        let closed: String = open.chars().rev().filter_map(closing).collect();
        format!("{}0{}", open.repeat(depth), closed.repeat(depth))
    })
}

const fn closing(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '{' => Some('}'),
        _ => None,
    }
}

fn scalar(words: Words) -> BoxedStrategy<String> {
    let quoted = |text: String| serde_json::Value::from(text).to_string();
    prop_oneof![
        4 => select(&EDGES[..]).prop_map(str::to_owned),
        4 => select(words.texts).prop_map(move |text| quoted(text.to_owned())),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => any::<String>().prop_map(quoted),
        1 => (1_usize..2000).prop_map(move |length| quoted("ж".repeat(length))),
    ]
    .boxed()
}

/// One input: a sample with up to four edits, or else JSON of these words.
pub fn input(words: Words) -> BoxedStrategy<String> {
    let edits = vec((any::<Index>(), any::<Index>(), edit(words)), 0..4);
    let edited = (select(words.samples), edits).prop_map(|(sample, edits)| {
        edits
            .iter()
            .fold(sample.to_owned(), |text, (at, other, edit)| {
                edit.apply(&text, *at, *other)
            })
    });
    prop_oneof![4 => edited, 1 => json(words)].boxed()
}

/// One input or a few, each on a line of its own.
pub fn lines(words: Words) -> BoxedStrategy<Vec<u8>> {
    let lines = vec(input(words), 1..4);
    lines
        .prop_map(|lines| lines.join("\n").into_bytes())
        .boxed()
}

/// Short texts: one of these, with characters put in, left out and repeated, or any other.
pub fn text(samples: &'static [&'static str]) -> BoxedStrategy<String> {
    let odd: Vec<char> = ODD.chars().collect();
    let edits = vec((any::<Index>(), 0_usize..3, select(odd)), 0..4);
    let edited = (select(samples), edits).prop_map(|(sample, edits)| {
        let mut text: Vec<char> = sample.chars().collect();
        for (at, edit, odd) in edits {
            let at = at.index(text.len() + 1);
            match (edit, text.get(at).copied()) {
                (1, Some(_)) => drop(text.remove(at)),
                (2, Some(same)) => text.insert(at, same),
                _ => text.insert(at, odd),
            }
        }
        text.into_iter().collect()
    });
    prop_oneof![8 => edited, 1 => any::<String>()].boxed()
}

/// The same as bytes, now and then with some that are no text.
pub fn bytes(texts: BoxedStrategy<String>) -> BoxedStrategy<Vec<u8>> {
    let spoil = prop::option::weighted(0.1, (any::<Index>(), any::<u8>()));
    let spoiled = (texts, spoil).prop_map(|(text, spoil)| {
        let mut bytes = text.into_bytes();
        if let Some((at, byte)) = spoil {
            bytes.insert(at.index(bytes.len() + 1), byte);
        }
        bytes
    });
    spoiled.boxed()
}

/// An edit of a sample.
#[derive(Debug, Clone)]
enum Edit {
    /// A value or a key becomes this.
    Replace(String),
    /// A value or a key goes.
    Remove,
    /// A value or a key becomes one that stands elsewhere.
    Repeat,
    /// A character comes in.
    Insert(char),
    /// The rest is lost.
    Cut,
    /// A field comes first, or last.
    Field(&'static str, String),
}

fn edit(words: Words) -> BoxedStrategy<Edit> {
    let odd: Vec<char> = ODD.chars().collect();
    prop_oneof![
        8 => json(words).prop_map(Edit::Replace),
        2 => select(words.keys).prop_map(|key| Edit::Replace(format!("\"{key}\""))),
        4 => (select(words.keys), json(words)).prop_map(|(key, value)| Edit::Field(key, value)),
        2 => Just(Edit::Repeat),
        1 => Just(Edit::Remove),
        1 => select(odd).prop_map(Edit::Insert),
        1 => Just(Edit::Cut),
    ]
    .boxed()
}

impl Edit {
    fn apply(&self, text: &str, at: Index, other: Index) -> String {
        let tokens = tokens(text);
        if tokens.is_empty() {
            return text.to_owned();
        }
        let Range { start, end } = at.get(&tokens).clone();
        let (before, after) = (&text[..start], &text[end..]);
        match self {
            Self::Replace(json) => format!("{before}{json}{after}"),
            Self::Remove => format!("{before}{after}"),
            Self::Repeat => format!("{before}{}{after}", &text[other.get(&tokens).clone()]),
            Self::Insert(character) => format!("{before}{character}{}", &text[start..]),
            Self::Cut => before.to_owned(),
            Self::Field(key, json) => {
                let brace = text.rmatch_indices('}').map(|(at, _)| at);
                let braces: Vec<_> = brace.collect();
                match braces.get(other.index(braces.len().max(1))) {
                    Some(&brace) => {
                        format!("{},\"{key}\":{json}{}", &text[..brace], &text[brace..])
                    }
                    None => text.to_owned(),
                }
            }
        }
    }
}

/// Where the strings, numbers and words of a JSON text stand.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        let grows = tokens.last().is_some_and(|token| token.end == at);
        if in_string {
            if let Some(token) = tokens.last_mut() {
                token.end = end;
            }
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            in_string = true;
            tokens.push(at..end);
        } else if !"{}[]:, \t\r\n".contains(character) {
            match tokens.last_mut() {
                Some(token) if grows => token.end = end,
                _ => tokens.push(at..end),
            }
        }
    }
    tokens
}

#[test]
fn a_text_falls_into_its_strings_numbers_and_words() {
    let text = r#"{"a\"b":[1.5,true],"c":"{d}"}"#;
    let found: Vec<_> = tokens(text).into_iter().map(|token| &text[token]).collect();
    assert_eq!(found, [r#""a\"b""#, "1.5", "true", r#""c""#, r#""{d}""#]);
}
