//! Phrases that do not occur in `src`: comments, names and texts are plain technical English.
//! Does not judge any other wording.

use std::path::Path;

use super::files;

/// The phrases, in lower case. The subject of a sentence is a component, not a person.
const PHRASES: [&str; 16] = [
    "it refuses to",
    "whoever",
    "by itself",
    "by themselves",
    "such a one",
    "those who",
    "is told",
    "are told",
    "is said",
    "says of",
    "under fire",
    "who is",
    "who are",
    "who has",
    "who goes",
    "who comes",
];

/// This file.
const OWN: &str = "layers/prose.rs";

#[test]
fn the_prose_is_plain() {
    let mut found = Vec::new();
    for (path, text) in files() {
        if path == Path::new(OWN) {
            continue;
        }
        let text = flowing(&text);
        let phrases = PHRASES.iter().filter(|phrase| contains(&text, phrase));
        found.extend(phrases.map(|phrase| format!("{}: {phrase}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_phrase_is_found_across_lines_and_only_as_whole_words() {
    let text = "    /// Notifies the user, Who\n    /// is a member.\nfn whoever_waits() {}";
    let text = flowing(text);
    assert!(contains(&text, "who is") && contains(&text, "whoever"));
    assert!(!contains(&flowing("who issues it"), "who is"));
}

/// The text in lower case as one line, without the marks of comments.
fn flowing(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_start().trim_start_matches('/');
        line.trim_start_matches('!').trim()
    });
    lines.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether the phrase stands in the text between other characters than letters and digits.
fn contains(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        [before, after]
            .into_iter()
            .flatten()
            .all(|neighbour| !neighbour.is_alphanumeric())
    })
}
