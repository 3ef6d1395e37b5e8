//! Writes one line.
//! Does not write defaults: a field that is missing is read as one.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{VERSION, kinds};
use crate::model::{
    Access, IdempotencyKey, ImportRecord, ImportedChat, ImportedEvent, ImportedMember,
    ImportedMessage, ImportedNumbers, ImportedRead, ImportedUser, MemberRole, Metadata, Policy,
    ReadUpTo, Sanction,
};

/// The first line of a file that is written now.
pub fn header(now: Timestamp) -> String {
    let mut line = Line::of(kinds::HEADER);
    line.put("version", VERSION);
    line.time("exported_at", Some(now));
    line.into_text()
}

/// The line of a record, without its end.
pub fn write(record: &ImportRecord) -> String {
    let line = match record {
        ImportRecord::User(record) => user(record),
        ImportRecord::Event(record) => event(record),
        ImportRecord::Chat(record) => chat(record),
        ImportRecord::Message(record) => return message(record),
        ImportRecord::Read(record) => read(record),
        ImportRecord::Numbers(record) => numbers(*record),
    };
    line.into_text()
}

/// A line while it is written: its fields, in this order.
struct Line(Vec<(&'static str, Value)>);

impl Line {
    fn of(kind: &str) -> Self {
        let mut line = Self(Vec::new());
        line.put("type", kind);
        line
    }

    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    fn some(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn time(&mut self, name: &'static str, at: Option<Timestamp>) {
        self.some(name, at.map(|at| format!("{at:.3}")));
    }

    fn list<T>(&mut self, name: &'static str, items: &[T], value: impl Fn(&T) -> Value) {
        if !items.is_empty() {
            let items: Vec<_> = items.iter().map(value).collect();
            self.put(name, items);
        }
    }

    fn key(&mut self, key: Option<&IdempotencyKey>) {
        let key = key.map(|key| json!({"name": key.name, "content": key.content.to_string()}));
        self.some("idempotency_key", key);
    }

    fn into_text(self) -> String {
        // The names need no escapes.
        let fields = self.0.into_iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

fn numbers(record: ImportedNumbers) -> Line {
    let mut line = Line::of(kinds::NUMBERS);
    line.put("users", record.users);
    line.put("chats", record.chats);
    line.put("events", record.events);
    line
}

fn user(record: &ImportedUser) -> Line {
    let mut line = Line::of(kinds::USER);
    line.put("externalUserId", &*record.external_id);
    line.some("id", record.id.map(|id| id.to_string()));
    line.some("pk", record.pk);
    let profile = record.profile.clone();
    line.some("username", profile.username);
    line.some("name", profile.name);
    line.some("avatar", profile.avatar);
    line.some("github", profile.github);
    line.some("imageUUID", profile.image_uuid);
    line.time("created_at", record.created_at);
    line.time("modified_at", record.modified_at);
    line.time("revoked_before", record.revoked_before);
    line
}

fn event(record: &ImportedEvent) -> Line {
    let mut line = Line::of(kinds::EVENT);
    line.put("id", record.pk);
    line.put("eventOwnerId", record.owner.to_string());
    line.put("name", &*record.details.name);
    line.list("iconsUUIDs", &record.details.icons, |icon| {
        icon.clone().into()
    });
    line.put("location", &*record.details.location);
    line.put("dateFromS", record.details.starts);
    line.put("dateToS", record.details.ends);
    line.key(record.key.as_ref());
    line.time("created_at", record.created_at);
    line.time("modified_at", record.modified_at);
    line
}

fn chat(record: &ImportedChat) -> Line {
    let mut line = Line::of(kinds::CHAT);
    line.some("id", record.id.map(|id| id.to_string()));
    line.some("pk", record.pk);
    line.some("externalChatId", record.external_id.clone());
    line.some("name", record.name.clone());
    line.some("policy", record.policy.map(Policy::name));
    line.some("owner", record.owner.as_ref().map(ToString::to_string));
    line.some("team", record.team);
    let of_event = record.of_event.as_ref().map(|part| {
        let access = match part.access {
            Access::Unasked => "unasked",
            Access::Asked => "asked",
            Access::Granted => "granted",
        };
        json!({"id": part.event, "guest": part.guest.to_string(), "access": access})
    });
    line.some("event", of_event);
    line.list("members", &record.members, member);
    line.some("add_members", Some(true).filter(|_| record.add_members));
    line.list("bans", &record.bans, |(user, ban)| {
        let mut fields = until(*ban);
        fields.insert("user".to_owned(), user.to_string().into());
        Value::Object(fields)
    });
    line.list("kept", &record.kept, member);
    line.key(record.key.as_ref());
    line.some("head", Some(record.head).filter(|head| *head > 0));
    line.time("created_at", record.created_at);
    line.time("modified_at", record.modified_at);
    line.time("active_at", record.active_at);
    line
}

fn member(member: &ImportedMember) -> Value {
    let mut fields = Map::new();
    fields.insert("user".to_owned(), member.user.to_string().into());
    if member.role != MemberRole::Member {
        fields.insert("role".to_owned(), member.role.name().into());
    }
    if let Some(mute) = member.mute {
        fields.insert("mute".to_owned(), Value::Object(until(mute)));
    }
    if member.last_read > 0 {
        fields.insert("last_read".to_owned(), member.last_read.into());
    }
    Value::Object(fields)
}

fn until(sanction: Sanction) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(until) = sanction.until {
        fields.insert("until".to_owned(), format!("{until:.3}").into());
    }
    fields
}

/// A message: its metadata stands there as it came.
fn message(record: &ImportedMessage) -> String {
    let mut line = Line::of(kinds::MESSAGE);
    line.put("chat", record.chat.to_string());
    if let Some((id, seq)) = record.exported {
        line.put("id", id.to_string());
        line.put("seq", seq);
    }
    let draft = &record.draft;
    line.some("original_id", draft.original_id.clone());
    line.put("sender", record.sender.to_string());
    if draft.kind != "text" {
        line.put("kind", &*draft.kind);
    }
    line.put("text", &*draft.text);
    line.list("photos", &draft.photos, |photo| photo.clone().into());
    line.some("client_id", draft.client_id.clone());
    line.some("sent_as_read", Some(true).filter(|_| draft.sent_as_read));
    line.time("created_at", Some(record.created_at));
    let mut text = line.into_text();
    if let Some(metadata) = draft.metadata.as_ref().map(Metadata::json) {
        text.pop();
        text.push_str(",\"metadata\":");
        // A line has no line breaks in it; within JSON they stand between values only.
        text.extend(metadata.chars().filter(|it| !matches!(it, '\n' | '\r')));
        text.push('}');
    }
    text
}

fn read(record: &ImportedRead) -> Line {
    let mut line = Line::of(kinds::READ);
    line.put("chat", record.chat.to_string());
    line.put("user", record.user.to_string());
    match &record.up_to {
        ReadUpTo::Seq(seq) => line.put("seq", *seq),
        ReadUpTo::Original(id) => line.put("original_id", &**id),
        ReadUpTo::At(at) => line.time("at", Some(*at)),
    }
    line
}
