//! The conversation in `transcripts/type.txt`, replayed: the client's frames (`>`) go in, and the
//! frames sent are those recorded (`<`), to the letter. The service has an empty store and a fixed
//! clock.

use super::scene::{begin, noon, setting, text};
use crate::fixtures::{BlockingBackend, identity};
use crate::gateway::dialect::fixtures::{decode, encode, respond};
use crate::gateway::dialect::{Decoded, Push, SessionOptions};
use crate::hub::SharedEncoding;
use crate::model::Profile;

const TRANSCRIPT: &str = include_str!("../../transcripts/type.txt");

#[test]
fn the_transcript_comes_true() {
    let backend = BlockingBackend::open(noon());
    let options = SessionOptions {
        user: backend.user("anna", Profile::default()).id,
        push: Push::Off,
        ..setting()
    };
    let anna = identity(options.user, options.connection);
    let session = begin(options);
    let mut sent = Vec::new();
    for (number, line) in (1..).zip(TRANSCRIPT.lines()) {
        match line.split_at_checked(2) {
            Some(("> ", frame)) => {
                assert!(sent.is_empty(), "before line {number}: {sent:?}");
                let mut frames = match decode(&session, frame) {
                    Decoded::Request(command, answer) => {
                        respond(answer, backend.execute(&anna, command))
                    }
                    Decoded::Refused(_, frames) => frames,
                };
                for notice in backend.notices() {
                    frames.extend(encode(&*session, &notice, &mut SharedEncoding::default()));
                }
                sent = frames.iter().map(|frame| text(frame).to_owned()).collect();
            }
            Some(("< ", frame)) => {
                assert!(!sent.is_empty(), "line {number}: nothing was sent");
                assert_eq!(sent.remove(0), frame, "line {number}");
            }
            _ => assert!(line.is_empty() || line.starts_with('#'), "line {number}"),
        }
    }
    assert!(sent.is_empty(), "at the end: {sent:?}");
}
