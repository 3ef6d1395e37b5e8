//! Replays `transcripts/action.txt`: every line that the client is sent there, and no other.
//!
//! The service executes everything. Its replies are encoded as they are, except for what the
//! recording cannot have from one run of any server, see [`recorded`].

use std::time::Duration;

use super::*;
use crate::model::{ChatChange, Sent};

const TRANSCRIPT: &str = include_str!("../../transcripts/action.txt");

const ROOM: ChatRef = ChatRef::Pk(4);

/// By when a member list that waits for others has been published.
const LISTED: Duration = Duration::from_millis(300);

#[test]
fn the_transcript_is_what_happens() {
    for scene in TRANSCRIPT.split("\n\n") {
        let replayed = replay(scene);
        assert_eq!(replayed.trim(), scene.trim());
    }
}

/// The scene with the frames that are sent now.
fn replay(scene: &str) -> String {
    let acks = if scene.contains("# ?ack=1") {
        Acks::Always
    } else {
        Acks::Silent
    };
    let client = Client::with(acks, "Europe/Moscow");
    // The scene contains the join.
    let rooms = client.rooms();
    rooms.elsewhere(rooms.guest, Command::LeaveChat { chat: ROOM });
    rooms.backend.notices();
    let mut replayed = Vec::new();
    for line in scene.lines().filter(|line| !line.starts_with('<')) {
        replayed.push(line.to_owned());
        let mut sent = Vec::new();
        if let Some(frame) = line.strip_prefix("> ") {
            sent = request(&client, frame);
        } else {
            execute_remark(rooms, line);
        }
        if line.ends_with("joins") || line.ends_with("leaves") {
            let listed = async { tokio::time::sleep(LISTED).await };
            rooms.backend.block_on(listed);
        }
        for notice in rooms.backend.notices() {
            sent.extend(client.delivered(&recorded_notice(&notice)));
        }
        replayed.extend(sent.iter().map(|frame| format!("< {frame}")));
    }
    replayed.join("\n")
}

/// The response to a frame.
fn request(client: &Client, frame: &str) -> Vec<String> {
    texts(&match client.decode(frame) {
        Decoded::Refused(_, frames) => frames,
        Decoded::Request(command, answer) => {
            respond(answer, client.execute(command).map(recorded_reply))
        }
    })
}

/// Executes the actions of others that the transcript describes. Other remarks have no effect.
fn execute_remark(rooms: &Rooms, remark: &str) {
    let (user, command) = match remark {
        "# djwoms1 joins" => {
            let join = Command::JoinChat {
                chat: ROOM,
                read: None,
            };
            (rooms.guest, join)
        }
        "# djwoms1 leaves" => (rooms.guest, Command::LeaveChat { chat: ROOM }),
        "# djwoms1 writes" => {
            rooms.backend.set_time(at("2021-12-08T16:34:42Z"));
            let send = Command::SendMessage {
                user: None,
                chat: ROOM,
                draft: Draft::text("мое сообщение"),
            };
            (rooms.guest, send)
        }
        "# the room is renamed" => {
            let change = ChatChange {
                policy: None,
                name: Some("Python 3".to_owned()),
                team: None,
            };
            (rooms.owner, Command::ChangeChat { chat: ROOM, change })
        }
        "# the room is deleted" => (rooms.owner, Command::DeleteChat { chat: ROOM }),
        _ => return,
    };
    rooms.elsewhere(user, command);
}

fn recorded_reply(reply: Reply) -> Reply {
    match reply {
        Reply::Room(room) => Reply::Room(recorded(room)),
        Reply::Rooms(mut page) => {
            page.rooms = page.rooms.into_iter().map(recorded).collect();
            Reply::Rooms(page)
        }
        Reply::Sent(sent) => {
            let message = recorded_message((**sent.message()).clone());
            Reply::Sent(Sent::Stored(Arc::new(message)))
        }
        other => other,
    }
}

fn recorded_notice(notice: &Notice) -> Notice {
    let fact = match &notice.fact {
        Fact::ChatChanged(room) => Fact::ChatChanged(Arc::new(recorded((**room).clone()))),
        Fact::MessageSent(message) => {
            Fact::MessageSent(Arc::new(recorded_message((**message).clone())))
        }
        other => other.clone(),
    };
    Notice {
        fact,
        ..notice.clone()
    }
}

/// The room as the recording has it: it shows djwoms1 and his first message only, also after others
/// have joined and written, and a new room is the ownerless one that has the number 7.
fn recorded(mut room: Room) -> Room {
    room.members = vec![guest()];
    room.messages.truncate(1);
    room.messages = room.messages.into_iter().map(recorded_message).collect();
    if room.chat.name.as_deref() == Some("Rust") {
        (room.chat.pk, room.chat.owner) = (7, None);
    }
    room
}

/// The message with the microseconds of the recording: a store keeps milliseconds.
fn recorded_message(mut message: Message) -> Message {
    let exact = ["2021-12-02T10:29:38.171083Z", "2021-12-08T16:34:41.242824Z"].map(at);
    let same = |exact: &Timestamp| exact.as_millisecond() == message.created_at.as_millisecond();
    if let Some(exact) = exact.into_iter().find(same) {
        message.created_at = exact;
    }
    message
}
