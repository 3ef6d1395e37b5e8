//! Replays `transcripts/action.txt`: every line that the server says there, and no other.

use super::*;

const TRANSCRIPT: &str = include_str!("../../transcripts/action.txt");

#[test]
fn the_transcript_is_what_happens() {
    for scene in TRANSCRIPT.split("\n\n") {
        let replayed = replay(scene);
        assert_eq!(replayed.trim(), scene.trim());
    }
}

/// The scene as it goes now.
fn replay(scene: &str) -> String {
    let acks = if scene.contains("# ?ack=1") {
        Acks::Always
    } else {
        Acks::Silent
    };
    let client = Client::with(acks, "Europe/Moscow");
    let mut replayed = Vec::new();
    for line in scene.lines().filter(|line| !line.starts_with('<')) {
        replayed.push(line.to_owned());
        let said = if let Some(frame) = line.strip_prefix("> ") {
            request(&client, frame)
        } else {
            happening(line).map_or_else(Vec::new, |notice| client.told(&notice))
        };
        replayed.extend(said.iter().map(|frame| format!("< {frame}")));
    }
    replayed.join("\n")
}

/// What is said to a frame, and because of what the service does about it.
fn request(client: &Client, frame: &str) -> Vec<String> {
    match client.hear(frame) {
        Decoded::Refused(_, frames) => texts(&frames),
        Decoded::Request(command, answer) => {
            let reply = served(&command);
            let fact = reply.as_ref().ok().and_then(|reply| fact(&command, reply));
            let mut said = texts(&respond(answer, reply));
            if let Some(fact) = fact {
                said.extend(client.told(&notice(OWN, fact)));
            }
            said
        }
    }
}

fn fact(command: &Command, reply: &Reply) -> Option<Fact> {
    match (command, reply) {
        (Command::JoinChat { .. }, _) => Some(Fact::MemberJoined(membership(4, vec![owner()]))),
        (Command::LeaveChat { .. }, _) => Some(Fact::MemberLeft(membership(4, vec![]))),
        (Command::ChangeChat { .. }, Reply::Room(room)) => {
            Some(Fact::ChatChanged(Arc::new(room.clone())))
        }
        (Command::DeleteChat { .. }, Reply::Deleted(chat)) => {
            Some(Fact::ChatDeleted { chat: *chat, pk: 4 })
        }
        (_, Reply::Sent(sent)) => Some(Fact::MessageSent(Arc::clone(sent.message()))),
        _ => None,
    }
}

/// What others do, as the transcript puts it. Any other remark is only a remark.
fn happening(remark: &str) -> Option<Notice> {
    let fact = match remark {
        "# djwoms1 joins" => Fact::MemberJoined(membership(4, vec![owner(), guest()])),
        "# djwoms1 leaves" => Fact::MemberLeft(membership(4, vec![owner()])),
        "# djwoms1 writes" => Fact::MessageSent(Arc::new(message(
            4,
            3,
            guest(),
            "мое сообщение",
            "2021-12-08T16:34:42Z",
        ))),
        "# the room is renamed" => {
            let mut room = room(4);
            room.chat.name = Some("Python 3".to_owned());
            Fact::ChatChanged(Arc::new(room))
        }
        "# the room is deleted" => Fact::ChatDeleted {
            chat: chat_id(4),
            pk: 4,
        },
        _ => return None,
    };
    Some(notice(OTHER, fact))
}
