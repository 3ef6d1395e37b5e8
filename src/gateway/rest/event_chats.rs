//! The chats between an event's owner and its guests: opening them, and deciding about
//! applications.
//! Does not know their messages.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Created;
use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::events::EventView;
use super::names::{ChatName, EventName, PathId, UserName};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, ConflictError, NotFoundError, Problem};
use super::query::Query;
use super::schemas::{ChatInPath, EventInPath};
use crate::model::{
    Access, ChatChoice, ChatId, ChatRef, Command, Error, EventChat, Reply, Side, Updated, User,
};

/// The chat between an event's owner and one guest.
#[derive(Serialize, ToSchema)]
#[schema(as = EventChat, examples(json!({
    "chatId": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f", "pk": 2,
    "event": {
        "id": 10, "eventOwnerId": 14, "name": "Picnic", "iconsUUIDs": ["icon-1"],
        "location": "ONLINE", "dateFromS": 1_740_837_113, "dateToS": 1_740_844_313,
        "created_at": "2025-03-01T13:51:53.285Z", "modified_at": "2025-03-01T13:51:53.285Z"
    },
    "eventOwnerId": 14, "user": {"id": 16, "name": "Boris", "imageUUID": null},
    "isRequestSended": true, "isAccessGranted": false,
    "ownerUnreadCount": 1, "guestUnreadCount": 0
})))]
pub struct EventChatView {
    /// The id of the chat.
    #[serde(rename = "chatId")]
    #[schema(value_type = String, format = "uuid")]
    chat: ChatId,
    /// The same as a small integer.
    #[schema(minimum = 1)]
    pk: i64,
    /// The event.
    event: EventView,
    /// The number of the event's owner.
    #[serde(rename = "eventOwnerId")]
    #[schema(minimum = 1)]
    owner: i64,
    /// The guest.
    user: Guest,
    /// Whether the guest has applied for access.
    #[serde(rename = "isRequestSended")]
    asked: bool,
    /// Whether the owner has agreed.
    #[serde(rename = "isAccessGranted")]
    granted: bool,
    /// How many messages the owner has not read.
    #[serde(rename = "ownerUnreadCount")]
    #[schema(minimum = 0)]
    owner_unread: i64,
    /// How many messages the guest has not read.
    #[serde(rename = "guestUnreadCount")]
    #[schema(minimum = 0)]
    guest_unread: i64,
}

/// The guest of an event's chat.
#[derive(Serialize, ToSchema)]
struct Guest {
    /// The user's number.
    #[schema(minimum = 1)]
    id: i64,
    /// The name to show.
    name: String,
    /// The picture's id in the host application.
    #[serde(rename = "imageUUID")]
    image_uuid: Option<String>,
}

impl From<&User> for Guest {
    fn from(user: &User) -> Self {
        Self {
            id: user.pk,
            name: user.name.clone(),
            image_uuid: user.image_uuid.clone(),
        }
    }
}

impl From<&EventChat> for EventChatView {
    fn from(chat: &EventChat) -> Self {
        Self {
            chat: chat.chat,
            pk: chat.chat_pk,
            event: (&*chat.event).into(),
            owner: chat.event.owner.pk,
            user: (&*chat.guest).into(),
            asked: chat.state.access != Access::Unasked,
            granted: chat.state.access == Access::Granted,
            owner_unread: chat.state.unread(Side::Owner),
            guest_unread: chat.state.unread(Side::Guest),
        }
    }
}

/// A guest for a new chat with an event's owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"userId": 2})))]
pub struct NewEventChat {
    /// The guest.
    #[serde(rename = "userId")]
    user: UserName,
    /// The small integer of a new chat, if the host application chooses it. One that another chat has is a conflict.
    #[serde(default, deserialize_with = "numbers::optional_id")]
    #[schema(minimum = 1, maximum = 94_000_000)]
    pk: Option<i64>,
    /// The name that a new chat has in the host application. One that another chat has is a conflict.
    #[serde(rename = "externalChatId")]
    #[schema(min_length = 1, max_length = 256)]
    external_id: Option<String>,
}

/// A decision about an application.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"granted": true})))]
pub struct Decision {
    /// Whether access is granted.
    granted: bool,
}

/// Find or open an event's chat
///
/// The chat between the event's owner and this user. The owner cannot write to itself.
#[utoipa::path(
    post, path = "/events/{event}/chats", operation_id = "openEventChat", tag = "events",
    params(("event" = inline(EventInPath), Path, description = "The number of an event.")),
    request_body = NewEventChat,
    responses(
        (status = 200, description = "The chat that was there already.", body = EventChatView),
        (
            status = 201, description = "The chat, which is new.", body = EventChatView,
            headers(("Location" = String, description = "Where the chat is."))
        ),
        CommonErrors, NotFoundError, ConflictError, BodyErrors
    )
)]
pub async fn open(
    caller: ServiceCaller,
    PathId(EventName(event)): PathId<EventName>,
    _: Query<()>,
    Body(new): Body<NewEventChat>,
) -> Result<Response, Problem> {
    let user = Some(caller.user_id(new.user.0).await?);
    let command = Command::OpenEventChat {
        user,
        event,
        chosen: ChatChoice {
            pk: new.pk,
            external_id: new.external_id,
            policy: None,
        },
    };
    let Updated { changed, chat } = updated(caller.execute(command).await?)?;
    let body = EventChatView::from(&*chat);
    if !changed {
        return Ok(Json(body).into_response());
    }
    let location = format!("chats/{}", chat.chat);
    Ok(Created { location, body }.into_response())
}

/// Decide about an application
///
/// The guest must have applied. `false` takes the access back; the application stays.
#[utoipa::path(
    put, path = "/events/{event}/chats/{chat}/access", operation_id = "grantAccess",
    tag = "events",
    params(
        ("event" = inline(EventInPath), Path, description = "The number of an event."),
        (
            "chat" = inline(ChatInPath), Path,
            description = "The UUID or the number of one of its chats."
        )
    ),
    request_body = Decision,
    responses(
        (status = 200, description = "The chat afterwards.", body = EventChatView),
        CommonErrors, NotFoundError, ConflictError, BodyErrors
    )
)]
pub async fn grant(
    caller: ServiceCaller,
    PathId(EventName(event)): PathId<EventName>,
    PathId(ChatName(named)): PathId<ChatName>,
    _: Query<()>,
    Body(decision): Body<Decision>,
) -> Result<Json<EventChatView>, Problem> {
    let command = Command::GetRoom {
        chat: named.clone(),
        messages: 0,
    };
    let Reply::Room(room) = caller.execute(command).await? else {
        return Err(wrong_reply().into());
    };
    if room.chat.event != Some(event) {
        return Err(Error::not_found(format_args!("chat {named} of event {event}")).into());
    }
    let command = Command::GrantAccess {
        chat: ChatRef::OfEvent(room.chat.id),
        access: if decision.granted {
            Access::Granted
        } else {
            Access::Asked
        },
    };
    let updated = updated(caller.execute(command).await?)?;
    Ok(Json((&*updated.chat).into()))
}

/// The chat of a reply that contains one of an event's.
pub fn updated(reply: Reply) -> Result<Updated, Error> {
    match reply {
        Reply::EventChat(updated) => Ok(updated),
        _ => Err(wrong_reply()),
    }
}
