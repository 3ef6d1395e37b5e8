//! The conversation in `transcripts/marketplace.txt`, replayed: what a client says (`>`) goes
//! in, and what comes out for each of them is what stands there (`<`), to the letter. The
//! service is played by a [`Stage`]; what it publishes is told to every connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::scene::{begin, notice};
use super::stage::Stage;
use crate::gateway::dialect::fixtures::{decode, encode, respond, texts};
use crate::gateway::dialect::{Decoded, DialectSession};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{Command, Error, Reply, User};

const TRANSCRIPT: &str = include_str!("../../transcripts/marketplace.txt");

#[test]
fn the_transcript_comes_true() {
    let mut play = Play {
        stage: Stage::set(),
        clients: BTreeMap::new(),
    };
    for (number, line) in (1..).zip(TRANSCRIPT.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(' ').expect("a name");
        match rest.split_at_checked(2) {
            Some(("> ", frame)) => {
                play.all_was_written(number);
                play.say(name, frame);
            }
            Some(("< ", frame)) => {
                let said = play.clients.get_mut(name).expect(name).said.pop_front();
                assert_eq!(said.as_deref(), Some(frame), "line {number}");
            }
            _ => panic!("line {number}"),
        }
    }
    play.all_was_written(TRANSCRIPT.lines().count());
}

struct Play<'a> {
    stage: Stage,
    clients: BTreeMap<&'a str, Client>,
}

/// One connection, and what it was sent and nobody has looked at.
struct Client {
    user: Arc<User>,
    session: Arc<dyn DialectSession>,
    said: VecDeque<String>,
}

impl Client {
    fn receive(&mut self, frames: Vec<Outgoing>) {
        self.said.extend(texts(&frames));
    }
}

impl<'a> Play<'a> {
    /// A client connects, or sends a frame.
    fn say(&mut self, name: &'a str, frame: &str) {
        if frame == "(connects)" {
            return self.connect(name);
        }
        let client = self.clients.get_mut(name).expect(name);
        let frames = match decode(&client.session, frame) {
            Decoded::Refused(_, frames) => frames,
            Decoded::Request(command, answer) => {
                let user = Arc::clone(&client.user);
                respond(answer, self.execute(&user, command))
            }
        };
        self.clients.get_mut(name).expect(name).receive(frames);
    }

    /// A client connects under this name, and under the user's whose name it begins with.
    fn connect(&mut self, name: &'a str) {
        let mut people = self.stage.people.iter();
        let user = people.find(|user| name.starts_with(&user.name));
        let user = Arc::clone(user.expect("somebody known"));
        let session = begin(&user);
        let command = session.opening().expect("something to begin with");
        let reply = self.execute(&user, command).expect("a market");
        let mut frames = Vec::new();
        session.opened(reply, &mut |frame| frames.push(frame));
        let said = VecDeque::new();
        let mut client = Client {
            user,
            session,
            said,
        };
        client.receive(frames);
        self.clients.insert(name, client);
    }

    /// Has the stage do it, and tells everybody what it published.
    fn execute(&mut self, user: &Arc<User>, command: Command) -> Result<Reply, Error> {
        let outcome = self.stage.execute(user, command);
        for fact in std::mem::take(&mut self.stage.published) {
            let (notice, mut encoded) = (notice(fact), SharedEncoding::default());
            for client in self.clients.values_mut() {
                let frames = encode(&*client.session, &notice, &mut encoded);
                client.receive(frames);
            }
        }
        outcome
    }

    /// Nothing was said that does not stand in the transcript.
    fn all_was_written(&self, number: usize) {
        for (name, client) in &self.clients {
            assert!(
                client.said.is_empty(),
                "line {number}: {name}: {:?}",
                client.said
            );
        }
    }
}
