//! Reads one line.
//! Does not check what the service checks: lengths, and whether it fits what is there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::value::RawValue;

use super::fields::{Fields, missing, user};
use super::{VERSION, kinds};
use crate::gateway::dialect::{metadata, surrogates};
use crate::model::{
    Access, Draft, Error, EventDetails, IdempotencyKey, ImportRecord, ImportedChat, ImportedEvent,
    ImportedEventPart, ImportedMember, ImportedMessage, ImportedNumbers, ImportedRead,
    ImportedUser, MemberRole, Metadata, Policy, Profile, ReadUpTo, Sanction, UserRef,
};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The first one: a version that can be read.
    Header,
    /// Any other one.
    Record {
        /// What stands there.
        record: ImportRecord,
        /// Fields that are not known, and have no place in the store.
        lost: Vec<String>,
    },
}

/// Reads a line.
///
/// # Errors
/// `Invalid`: the field at fault, and what is wrong with it.
pub fn read(json: &str) -> Result<Line, Error> {
    let json = surrogates::replaced(json);
    let mut fields = Fields::of(&json, "the line")?;
    let kind = fields.needed_text("type")?;
    let record = match &*kind {
        kinds::HEADER => return header(fields).map(|()| Line::Header),
        kinds::MESSAGE => {
            let (message, lost) = message(fields)?;
            let record = ImportRecord::Message(Box::new(message));
            return Ok(Line::Record { record, lost });
        }
        kinds::NUMBERS => ImportRecord::Numbers(ImportedNumbers {
            users: fields.count("users")?,
            chats: fields.count("chats")?,
            events: fields.count("events")?,
        }),
        kinds::USER => ImportRecord::User(Box::new(imported_user(&mut fields)?)),
        kinds::EVENT => ImportRecord::Event(Box::new(event(&mut fields)?)),
        kinds::CHAT => ImportRecord::Chat(Box::new(chat(&mut fields)?)),
        kinds::READ => ImportRecord::Read(read_position(&mut fields)?),
        _ => {
            let known = "must be user, event, chat, message, read or numbers";
            return Err(Error::invalid("type", known));
        }
    };
    let lost = fields.names().map(str::to_owned).collect();
    Ok(Line::Record { record, lost })
}

fn header(mut fields: Fields<'_>) -> Result<(), Error> {
    let version = fields.whole("version")?;
    if (1..=VERSION).contains(&version.ok_or_else(|| missing("version"))?) {
        return Ok(());
    }
    let why = format!("is not known; this polychat reads up to {VERSION}");
    Err(Error::invalid("version", &why))
}

fn imported_user(fields: &mut Fields<'_>) -> Result<ImportedUser, Error> {
    let external_id = fields.text_or_number("externalUserId")?;
    Ok(ImportedUser {
        external_id: external_id.ok_or_else(|| missing("externalUserId"))?,
        id: fields.named("id", "must be a UUID that polychat gave")?,
        pk: fields.whole("pk")?,
        profile: Profile {
            username: fields.text("username")?,
            name: fields.text("name")?,
            avatar: fields.text("avatar")?,
            github: fields.text("github")?,
            image_uuid: fields.text("imageUUID")?,
        },
        created_at: fields.time("created_at")?,
        modified_at: fields.time("modified_at")?,
        revoked_before: fields.time("revoked_before")?,
    })
}

fn event(fields: &mut Fields<'_>) -> Result<ImportedEvent, Error> {
    Ok(ImportedEvent {
        pk: fields.whole("id")?.ok_or_else(|| missing("id"))?,
        owner: fields
            .user("eventOwnerId")?
            .ok_or_else(|| missing("eventOwnerId"))?,
        details: EventDetails {
            name: fields.needed_text("name")?,
            icons: texts(fields, "iconsUUIDs")?,
            location: fields.text("location")?.unwrap_or_default(),
            starts: fields.whole("dateFromS")?.unwrap_or_default(),
            ends: fields.whole("dateToS")?.unwrap_or_default(),
        },
        key: key(fields)?,
        created_at: fields.time("created_at")?,
        modified_at: fields.time("modified_at")?,
    })
}

fn chat(fields: &mut Fields<'_>) -> Result<ImportedChat, Error> {
    let policy = match fields.text("policy")?.as_deref() {
        None => None,
        Some("open") => Some(Policy::Open),
        Some("closed") => Some(Policy::Closed),
        Some(_) => return Err(Error::invalid("policy", "must be open or closed")),
    };
    Ok(ImportedChat {
        id: fields.named("id", "must be a UUID that polychat gave")?,
        pk: fields.whole("pk")?,
        external_id: fields.text_or_number("externalChatId")?,
        name: fields.text("name")?,
        policy,
        owner: fields.user("owner")?,
        team: fields.whole("team")?,
        of_event: event_part(fields)?,
        members: members(fields, "members")?,
        add_members: flag(fields, "add_members")?,
        bans: bans(fields)?,
        kept: members(fields, "kept")?,
        key: key(fields)?,
        head: fields.count("head")?,
        created_at: fields.time("created_at")?,
        modified_at: fields.time("modified_at")?,
        active_at: fields.time("active_at")?,
    })
}

fn event_part(fields: &mut Fields<'_>) -> Result<Option<ImportedEventPart>, Error> {
    let Some(json) = fields.take("event") else {
        return Ok(None);
    };
    let mut fields = Fields::of(json, "event")?;
    let access = match fields.text("access")?.as_deref() {
        None | Some("unasked") => Access::Unasked,
        Some("asked") => Access::Asked,
        Some("granted") => Access::Granted,
        Some(_) => {
            let why = "must be unasked, asked or granted";
            return Err(Error::invalid("event.access", why));
        }
    };
    Ok(Some(ImportedEventPart {
        event: fields.whole("id")?.ok_or_else(|| missing("event.id"))?,
        guest: fields
            .user("guest")?
            .ok_or_else(|| missing("event.guest"))?,
        access,
    }))
}

/// The members of a chat: users, or objects with a user, a role and more.
fn members(fields: &mut Fields<'_>, name: &str) -> Result<Vec<ImportedMember>, Error> {
    let list = fields.list(name)?;
    list.iter().map(|json| member(json.get(), name)).collect()
}

fn member(json: &str, list: &str) -> Result<ImportedMember, Error> {
    let plain = |user| ImportedMember {
        user,
        role: MemberRole::Member,
        mute: None,
        last_read: 0,
    };
    if !json.starts_with('{') {
        return user(json, list).map(plain);
    }
    let mut fields = Fields::of(json, list)?;
    let Some(named) = fields.user("user")? else {
        return user(json, list).map(plain);
    };
    let role = match fields.text("role")? {
        None => MemberRole::Member,
        Some(role) => MemberRole::of_name(&role).ok_or_else(|| {
            let why = "must be reader, member, moderator or owner";
            Error::invalid(&format!("{list}.role"), why)
        })?,
    };
    Ok(ImportedMember {
        user: named,
        role,
        mute: fields.take("mute").map(sanction).transpose()?,
        last_read: fields.count("last_read")?,
    })
}

/// A mute: `{}`, or `{"until": …}`.
fn sanction(json: &str) -> Result<Sanction, Error> {
    let mut fields = Fields::of(json, "mute")?;
    let until = fields.time("until")?;
    Ok(Sanction { until })
}

fn bans(fields: &mut Fields<'_>) -> Result<Vec<(UserRef, Sanction)>, Error> {
    let ban = |json: &&RawValue| {
        let mut fields = Fields::of(json.get(), "bans")?;
        let user = fields.user("user")?.ok_or_else(|| missing("bans.user"))?;
        let until = fields.time("until")?;
        Ok((user, Sanction { until }))
    };
    fields.list("bans")?.iter().map(ban).collect()
}

fn key(fields: &mut Fields<'_>) -> Result<Option<IdempotencyKey>, Error> {
    let Some(json) = fields.take("idempotency_key") else {
        return Ok(None);
    };
    let mut fields = Fields::of(json, "idempotency_key")?;
    let content = fields.named("content", "must be the fingerprint of an export")?;
    Ok(Some(IdempotencyKey {
        name: fields.needed_text("name")?,
        content: content.ok_or_else(|| missing("idempotency_key.content"))?,
    }))
}

/// A message, and the names of those unknown fields that its metadata cannot take.
fn message(mut fields: Fields<'_>) -> Result<(ImportedMessage, Vec<String>), Error> {
    let chat = fields.needed_chat("chat")?;
    let id = fields.named("id", "must be a UUID that polychat gave; write original_id")?;
    let seq = fields.whole("seq")?;
    let exported = match (id, seq) {
        (Some(id), Some(seq @ 1..)) => Some((id, seq)),
        (None, None) => None,
        _ => return Err(Error::invalid("seq", "and id stand together, in exports")),
    };
    let sender = fields.user("sender")?.ok_or_else(|| missing("sender"))?;
    let created_at = fields.time("created_at")?;
    let mut draft = Draft {
        kind: fields.text("kind")?.unwrap_or_else(|| "text".to_owned()),
        photos: texts(&mut fields, "photos")?,
        client_id: fields.text("client_id")?,
        original_id: fields.text_or_number("original_id")?,
        metadata: None,
        sent_as_read: flag(&mut fields, "sent_as_read")?,
        text: fields.text("text")?.unwrap_or_default(),
    };
    let metadata = fields.take("metadata").unwrap_or("{}");
    let (metadata, lost) = with_unknown(metadata, fields.rest())?;
    draft.metadata = metadata;
    let message = ImportedMessage {
        chat,
        exported,
        sender,
        draft,
        created_at: created_at.ok_or_else(|| missing("created_at"))?,
    };
    Ok((message, lost))
}

/// The metadata with the unknown fields in it, and those that it has a field for already.
fn with_unknown(
    json: &str,
    unknown: BTreeMap<String, &RawValue>,
) -> Result<(Option<Metadata>, Vec<String>), Error> {
    let given = metadata::read(json, "metadata")?;
    if unknown.is_empty() {
        return Ok((given, Vec::new()));
    }
    let mut all = Fields::of(json, "metadata")?.rest();
    let mut lost = Vec::new();
    for (name, value) in unknown {
        match all.entry(name) {
            Entry::Occupied(given) => lost.push(given.key().clone()),
            Entry::Vacant(free) => {
                free.insert(value);
            }
        }
    }
    let all = serde_json::to_string(&all);
    let all = all.map_err(|error| Error::invalid("metadata", &error.to_string()))?;
    Ok((metadata::read(&all, "metadata")?, lost))
}

fn read_position(fields: &mut Fields<'_>) -> Result<ImportedRead, Error> {
    let (seq, at) = (fields.whole("seq")?, fields.time("at")?);
    let original_id = fields.text_or_number("original_id")?;
    let up_to = match (seq, at, original_id) {
        (Some(seq @ 0..), None, None) => ReadUpTo::Seq(seq),
        (None, Some(at), None) => ReadUpTo::At(at),
        (None, None, Some(id)) => ReadUpTo::Original(id),
        _ => {
            let why = "or at, or seq: a read position has one of them";
            return Err(Error::invalid("original_id", why));
        }
    };
    Ok(ImportedRead {
        chat: fields.needed_chat("chat")?,
        user: fields.user("user")?.ok_or_else(|| missing("user"))?,
        up_to,
    })
}

fn flag(fields: &mut Fields<'_>, name: &str) -> Result<bool, Error> {
    let flag = fields.of_type(name, "must be true or false")?;
    Ok(flag.unwrap_or(false))
}

fn texts(fields: &mut Fields<'_>, name: &str) -> Result<Vec<String>, Error> {
    let texts = fields.of_type(name, "must be a list of texts")?;
    Ok(texts.unwrap_or_default())
}
