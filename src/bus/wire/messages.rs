//! Messages and the chats of events as documents on the wire.
//! Does not know headers: the chat and the seq are passed in from there.

use std::sync::Arc;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawBsonRef, RawDocumentBuf};

use super::UnknownContent;
use super::fields::{Fields, Value, date, other_value, uuid};
use super::users::user;
use crate::model::{
    Access, ChatId, ChatPk, Event, EventChat, EventChatState, EventDetails, Message, Metadata, Seq,
};

fn texts(texts: &[String]) -> RawArrayBuf {
    texts.iter().map(|text| &**text).collect()
}

/// A message as a document, without its chat and its seq.
pub(super) fn message(message: &Message) -> RawDocumentBuf {
    let Message {
        id,
        chat: _,
        chat_pk,
        seq: _,
        sender,
        kind,
        text,
        photos,
        client_id,
        original_id,
        metadata,
        sent_as_read,
        event_chat: of_event,
        created_at,
        modified_at,
    } = message;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("id"), uuid(id.as_bytes()));
    fields.append(cstr!("pk"), *chat_pk);
    fields.append(cstr!("sender"), user(sender));
    fields.append(cstr!("kind"), &**kind);
    fields.append(cstr!("text"), &**text);
    fields.append(cstr!("photos"), texts(photos));
    if let Some(client_id) = client_id {
        fields.append(cstr!("client_id"), &**client_id);
    }
    if let Some(original_id) = original_id {
        fields.append(cstr!("original_id"), &**original_id);
    }
    if let Some(metadata) = metadata {
        fields.append(cstr!("metadata"), metadata.json());
    }
    fields.append(cstr!("read"), *sent_as_read);
    if let Some(of_event) = of_event {
        fields.append(cstr!("event"), event_chat(of_event));
    }
    fields.append(cstr!("created"), date(*created_at));
    fields.append(cstr!("modified"), date(*modified_at));
    fields
}

/// The message of a document.
pub(super) fn read_message(
    fields: Fields<'_>,
    chat: ChatId,
    seq: Seq,
) -> Result<Message, UnknownContent> {
    let chat_pk = fields.get("pk")?;
    let no_json = || UnknownContent("metadata: it is no JSON".to_owned());
    let metadata = fields.find::<String>("metadata")?;
    let metadata = metadata.map(|json| Metadata::of_json(json).ok_or_else(no_json));
    let of_event = fields.find("event")?;
    let of_event = of_event.map(|fields| read_event_chat(fields, chat, chat_pk).map(Arc::new));
    Ok(Message {
        id: fields.get("id")?,
        chat,
        chat_pk,
        seq,
        sender: fields.get("sender")?,
        kind: fields.get("kind")?,
        text: fields.get("text")?,
        photos: fields.get("photos")?,
        client_id: fields.find("client_id")?,
        original_id: fields.find("original_id")?,
        metadata: metadata.transpose()?,
        sent_as_read: fields.get("read")?,
        event_chat: of_event.transpose()?,
        created_at: fields.get("created")?,
        modified_at: fields.get("modified")?,
    })
}

/// The chat of an event as a document; the chat is that of the message.
fn event_chat(of_event: &EventChat) -> RawDocumentBuf {
    let EventChat {
        chat: _,
        chat_pk: _,
        event,
        guest,
        state,
        active_at,
    } = of_event;
    let EventChatState {
        head,
        owner_read,
        guest_read,
        access,
        access_version,
    } = *state;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("event"), event_document(event));
    fields.append(cstr!("guest"), user(guest));
    fields.append(cstr!("head"), head);
    fields.append(cstr!("owner_read"), owner_read);
    fields.append(cstr!("guest_read"), guest_read);
    let access = match access {
        Access::Unasked => "unasked",
        Access::Asked => "asked",
        Access::Granted => "granted",
    };
    fields.append(cstr!("access"), access);
    fields.append(cstr!("access_version"), access_version);
    fields.append(cstr!("active"), date(*active_at));
    fields
}

fn read_event_chat(
    fields: Fields<'_>,
    chat: ChatId,
    chat_pk: ChatPk,
) -> Result<EventChat, UnknownContent> {
    let access = match fields.get("access")? {
        "unasked" => Access::Unasked,
        "asked" => Access::Asked,
        "granted" => Access::Granted,
        _ => return Err(other_value("access")),
    };
    Ok(EventChat {
        chat,
        chat_pk,
        event: fields.get::<Event>("event")?.into(),
        guest: fields.get("guest")?,
        state: EventChatState {
            head: fields.get("head")?,
            owner_read: fields.get("owner_read")?,
            guest_read: fields.get("guest_read")?,
            access,
            access_version: fields.get("access_version")?,
        },
        active_at: fields.get("active")?,
    })
}

fn event_document(event: &Event) -> RawDocumentBuf {
    let Event {
        pk,
        owner,
        details,
        created_at,
        modified_at,
    } = event;
    let EventDetails {
        name,
        icons,
        location,
        starts,
        ends,
    } = details;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("pk"), *pk);
    fields.append(cstr!("owner"), user(owner));
    fields.append(cstr!("name"), &**name);
    fields.append(cstr!("icons"), texts(icons));
    fields.append(cstr!("location"), &**location);
    fields.append(cstr!("starts"), *starts);
    fields.append(cstr!("ends"), *ends);
    fields.append(cstr!("created"), date(*created_at));
    fields.append(cstr!("modified"), date(*modified_at));
    fields
}

impl<'a> Value<'a> for Event {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        let fields = Fields::of(value)?;
        Ok(Self {
            pk: fields.get("pk")?,
            owner: fields.get("owner")?,
            details: EventDetails {
                name: fields.get("name")?,
                icons: fields.get("icons")?,
                location: fields.get("location")?,
                starts: fields.get("starts")?,
                ends: fields.get("ends")?,
            },
            created_at: fields.get("created")?,
            modified_at: fields.get("modified")?,
        })
    }
}
