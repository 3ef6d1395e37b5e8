//! A store that was filled: its users, its chats, and the acknowledged message of each number. Does not fill or read
//! it.

use crate::num::fit;
use crate::sio::{self, Tag};
use serde_json::{Value, json};
use std::path::Path;

/// One message as it was acknowledged.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Acked {
    sender: u32,
    /// The sender's own count of its messages.
    number: u32,
    /// The hash of its id.
    id: u64,
}

/// A chat, and each message of it in the order of the numbers.
pub struct Filled {
    pub id: String,
    pub pk: u64,
    /// The room in the tags of its messages.
    pub room: u32,
    messages: Vec<Acked>,
}

impl Filled {
    pub fn new(id: String, pk: u64, room: u32, count: usize) -> Self {
        let messages = vec![Acked::default(); count];
        Filled {
            id,
            pk,
            room,
            messages,
        }
    }

    pub fn count(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Records an acknowledgement. Fails if the number is taken or was not to be given out.
    pub fn acked(&mut self, seq: u64, sender: u32, number: u32, id: &[u8]) -> Result<(), String> {
        let place = index(seq).and_then(|i| self.messages.get_mut(i));
        match place {
            Some(place) if place.id == 0 => {
                let id = sio::hash(id);
                *place = Acked { sender, number, id };
                Ok(())
            }
            Some(_) => Err(format!("the number {seq} was given out twice")),
            None => Err(format!("the number {seq} is beyond the end")),
        }
    }

    /// Whether every number was given out.
    pub fn complete(&self) -> bool {
        self.messages.iter().all(|acked| acked.id != 0)
    }

    /// Whether this is the message that was acknowledged under this number; `id` where the
    /// dialect shows it.
    fn is(&self, nonce: u32, seq: u64, id: Option<&str>, text: &str) -> Result<(), String> {
        let tag = Tag::find(text.as_bytes()).ok_or_else(|| format!("{seq}: a foreign text"))?;
        let acked = index(seq).and_then(|i| self.messages.get(i));
        let acked = acked.ok_or_else(|| format!("{seq}: beyond the end"))?;
        let expected = (nonce, self.room, acked.sender, acked.number);
        if (tag.nonce, tag.room, tag.sender, tag.seq) != expected {
            return Err(format!("{seq}: another message than was acknowledged"));
        }
        match id {
            Some(id) if sio::hash(id.as_bytes()) != acked.id => {
                Err(format!("{seq}: another id than was acknowledged"))
            }
            _ => Ok(()),
        }
    }
}

/// Index of the message with this `seq`.
fn index(seq: u64) -> Option<usize> {
    usize::try_from(seq.checked_sub(1)?).ok()
}

/// How a dialect shows a message of a list.
#[derive(Clone, Copy)]
pub enum Shape {
    /// `{id: UUID, seq, msg}`
    Full,
    /// `{id: pair(chat, seq), text}`
    Paired,
    /// `{messageId: seq, text}`
    Market,
}

/// Everything that `history` needs.
pub struct Stored {
    pub nonce: u32,
    /// External id and id of each member of the big chat; the first is in all other chats, too.
    pub users: Vec<(String, String)>,
    pub chat: Filled,
    /// The chat of an event whose owner, the first user, has read none of it.
    pub market: Filled,
    /// In how many chats the first user is.
    pub chats: usize,
    /// In how many events' chats.
    pub talks: usize,
}

impl Stored {
    /// Whether these are the messages `first..=last` of this chat, in order, each once.
    pub fn check(
        &self,
        chat: &Filled,
        shape: Shape,
        messages: &[Value],
        (first, last): (u64, u64),
    ) -> Result<(), String> {
        if messages.len() as u64 != last + 1 - first {
            let found = messages.len();
            return Err(format!("{found} messages instead of {first} to {last}"));
        }
        for (seq, message) in (first..).zip(messages) {
            let (found, id, text) = match shape {
                Shape::Full => (message["seq"].as_u64(), message["id"].as_str(), "msg"),
                Shape::Paired => (message["id"].as_u64().map(|id| unpair(id).1), None, "text"),
                Shape::Market => (message["messageId"].as_u64(), None, "text"),
            };
            if found != Some(seq) {
                return Err(format!("{found:?} where {seq} should be"));
            }
            if matches!(shape, Shape::Full) && id.is_none() {
                return Err(format!("{seq}: no id"));
            }
            let text = message[text].as_str().unwrap_or_default();
            chat.is(self.nonce, seq, id, text)?;
        }
        Ok(())
    }

    pub fn save(&self, folder: &Path) -> Result<(), String> {
        let chat = |filled: &Filled| json!({"id": filled.id, "pk": filled.pk});
        let state = json!({
            "nonce": self.nonce, "users": self.users, "chats": self.chats, "talks": self.talks,
            "chat": chat(&self.chat), "market": chat(&self.market),
        });
        write(folder, "chat.acked", &bytes(&self.chat))?;
        write(folder, "market.acked", &bytes(&self.market))?;
        // Last: with it the folder is complete.
        write(folder, "stored.json", state.to_string().as_bytes())
    }

    pub fn load(folder: &Path) -> Result<Self, String> {
        let state = crate::lines::json(&read(folder, "stored.json")?)?;
        let chat = |room: u32, name: &str| -> Result<Filled, String> {
            let messages = acked(&read(folder, &format!("{name}.acked"))?);
            let id = state[name]["id"].as_str().unwrap_or_default().to_string();
            let pk = state[name]["pk"].as_u64().unwrap_or_default();
            Ok(Filled {
                id,
                pk,
                room,
                messages,
            })
        };
        let users = serde_json::from_value(state["users"].clone()).map_err(|e| e.to_string())?;
        let number = |name: &str| state[name].as_u64().unwrap_or_default();
        Ok(Stored {
            nonce: fit(number("nonce")),
            users,
            chat: chat(0, "chat")?,
            market: chat(1, "market")?,
            chats: fit(number("chats")),
            talks: fit(number("talks")),
        })
    }
}

/// The integer id of a message, taken apart (Szudzik): the chat's number and its own.
fn unpair(id: u64) -> (u64, u64) {
    let root = id.isqrt();
    let rest = id - root * root;
    if rest < root {
        (rest, root)
    } else {
        (root, rest - root)
    }
}

fn bytes(filled: &Filled) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filled.messages.len() * 16);
    for acked in &filled.messages {
        bytes.extend_from_slice(&acked.sender.to_le_bytes());
        bytes.extend_from_slice(&acked.number.to_le_bytes());
        bytes.extend_from_slice(&acked.id.to_le_bytes());
    }
    bytes
}

fn acked(bytes: &[u8]) -> Vec<Acked> {
    let four = |at: &[u8]| u32::from_le_bytes(at.try_into().expect("four bytes"));
    let entries = bytes.chunks_exact(16);
    entries
        .map(|entry| Acked {
            sender: four(&entry[..4]),
            number: four(&entry[4..8]),
            id: u64::from_le_bytes(entry[8..].try_into().expect("eight bytes")),
        })
        .collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> (Stored, Vec<Value>) {
        let mut chat = Filled::new("c".into(), 1, 0, 5);
        let mut list = Vec::new();
        for seq in 1..=5_u64 {
            let id = format!("m{seq}");
            let tag = Tag {
                nonce: 7,
                room: 0,
                sender: 2,
                seq: fit(seq * 10),
                ts: 1,
            };
            let mut text = Vec::new();
            tag.write(&mut text);
            chat.acked(seq, 2, fit(seq * 10), id.as_bytes()).unwrap();
            list.push(json!({"seq": seq, "id": id, "msg": String::from_utf8(text).unwrap()}));
        }
        let market = Filled::new("d".into(), 2, 1, 0);
        let users = vec![("anna".to_string(), "u1".to_string())];
        let stored = Stored {
            nonce: 7,
            users,
            chat,
            market,
            chats: 1,
            talks: 1,
        };
        (stored, list)
    }

    #[test]
    fn a_page_passes_only_if_it_is_the_right_one() {
        let (stored, list) = stored();
        let check = |list: &[Value], range| stored.check(&stored.chat, Shape::Full, list, range);
        assert_eq!(check(&list[1..4], (2, 4)), Ok(()));
        assert!(check(&list[1..3], (2, 4)).is_err(), "too short");
        assert!(check(&list[1..4], (1, 3)).is_err(), "elsewhere");
        let mut swapped = list.clone();
        swapped.swap(1, 2);
        assert!(check(&swapped, (1, 5)).is_err(), "out of order");
        let mut twice = list.clone();
        twice[2] = twice[1].clone();
        assert!(check(&twice, (1, 5)).is_err(), "a double");
        let mut other = list.clone();
        other[2]["msg"] = other[1]["msg"].clone();
        assert!(check(&other, (1, 5)).is_err(), "another text");
        let mut renamed = list.clone();
        renamed[2]["id"] = json!("m9");
        assert!(check(&renamed, (1, 5)).is_err(), "another id");
    }

    #[test]
    fn a_number_is_given_out_once() {
        let mut chat = Filled::new("c".into(), 1, 0, 2);
        assert!(chat.acked(2, 0, 0, b"m").is_ok());
        assert!(!chat.complete());
        assert!(chat.acked(2, 0, 1, b"n").is_err());
        assert!(chat.acked(3, 0, 1, b"n").is_err());
        assert!(chat.acked(0, 0, 1, b"n").is_err());
        assert!(chat.acked(1, 0, 1, b"n").is_ok());
        assert!(chat.complete());
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = std::env::temp_dir().join(format!("stored-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (stored, list) = stored();
        stored.save(&folder).unwrap();
        let loaded = Stored::load(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(loaded.users, stored.users);
        assert_eq!(
            loaded.check(&loaded.chat, Shape::Full, &list, (1, 5)),
            Ok(())
        );
    }

    #[test]
    fn pairs_are_taken_apart() {
        assert_eq!([3, 5, 10, 17].map(unpair), [(1, 1), (1, 2), (1, 3), (1, 4)]);
        assert_eq!(unpair(6), (2, 0));
    }
}
