//! Messages: reads a chat's history, and sends as one of its members.
//! Does not know rights: the service does.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::content;
use super::cursor::{self, List};
use super::key::{self, Key};
use super::names::{ChatName, PathId, UserName};
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::{FromQuery, Parameters, Query};
use super::schemas::{ChatInPath, Limit, MomentInQuery, SeqInQuery, photos};
use crate::gateway::dialect::timestamps::{Moment, NO_MOMENT, time};
use crate::model::{
    ChatId, Command, Draft, Error, History, Message, MessageId, Metadata, Positions, Range, Reply,
    Seq, UserId, Window,
};

/// The longest `client_id`, in characters.
const CLIENT_ID_CHARS: usize = 64;

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message, examples(json!({
    "id": "01955b2e-7a10-7f3e-8a54-6d2c9d6c4f02", "seq": 1,
    "room": "01955b2e-71c3-7d02-9c2b-0f6a1d1f7c2f", "msg": "Soup?", "type": "text",
    "user_id": "01955b2e-6d55-7a41-a0f8-7c2f0f6f1d11", "photos": [],
    "created_at": "2025-03-01T13:51:53.285Z", "modified_at": "2025-03-01T13:51:53.285Z"
})))]
pub struct MessageView {
    /// The id that polychat gave.
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    /// Its number in its chat: 1, 2, 3 …, without gaps.
    #[schema(value_type = i64, minimum = 1)]
    seq: Seq,
    /// The id of its chat.
    #[schema(value_type = String, format = "uuid")]
    room: ChatId,
    /// The text, as it came.
    msg: String,
    /// The kind of content of the text.
    #[serde(rename = "type")]
    kind: String,
    /// The id of its sender.
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    /// The ids of the pictures that go with it, in the host application.
    photos: Vec<String>,
    /// When it was stored; never before its predecessor's.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its content last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
    /// The `client_id` that its sender gave, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The id that it had where it was imported from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    original_id: Option<String>,
    /// What the application attached to it, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    metadata: Option<Metadata>,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            room: message.chat,
            msg: message.text.clone(),
            kind: message.kind.clone(),
            user_id: message.sender.id,
            photos: message.photos.clone(),
            created_at: message.created_at,
            modified_at: message.modified_at,
            client_id: message.client_id.clone(),
            original_id: message.original_id.clone(),
            metadata: message.metadata.clone(),
        }
    }
}

/// Messages of one chat, oldest first.
#[derive(Serialize, ToSchema)]
pub struct MessageList {
    /// The messages.
    messages: Vec<MessageView>,
    /// Whether the range holds more than was taken.
    has_more: bool,
    /// The `cursor` of the next page; null: there is none.
    next: Option<String>,
}

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"userId": 1, "text": "Soup?"})))]
pub struct NewMessage {
    /// The sender. Without it: the token's own user, if there is a token.
    #[serde(rename = "userId")]
    user_id: Option<UserName>,
    #[serde(deserialize_with = "content::text")]
    #[schema(schema_with = content::text_schema)]
    text: String,
    /// The kind of content of the text; by default `text`.
    #[serde(rename = "type")]
    #[schema(pattern = "^[a-z0-9_-]{1,32}$")]
    kind: Option<String>,
    /// The ids of the pictures that go with it, in the host application.
    #[schema(schema_with = photos)]
    photos: Option<Vec<String>>,
    /// An id of your own, which makes a retry safe: sending again with the same one stores
    /// nothing, and the answer is the message stored first.
    #[schema(min_length = 1, max_length = 64)]
    client_id: Option<String>,
    /// What the application attaches to the message: at most 4096 bytes of JSON, given back as it came.
    /// `{}` counts as null.
    #[serde(default, deserialize_with = "content::metadata")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

/// Which part of a history to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Messages {
    /// Only messages stored then or later: an RFC 3339 time, `YYYY-MM-DD HH:MM:SS` in UTC, milliseconds
    /// since 1970, or a date, which means its beginning in UTC.
    #[param(value_type = Option<MomentInQuery>, inline, nullable = false)]
    from: Option<Timestamp>,
    /// Only messages stored then or earlier: the same, but a date means its end in UTC.
    #[param(value_type = Option<MomentInQuery>, inline, nullable = false)]
    to: Option<Timestamp>,
    /// Only messages with a greater `seq`; with it the first ones are taken, not the last.
    #[param(value_type = Option<SeqInQuery>, inline, nullable = false)]
    after_seq: Option<Seq>,
    /// Only messages with a smaller `seq`.
    #[param(value_type = Option<SeqInQuery>, inline, nullable = false)]
    before_seq: Option<Seq>,
    /// How many at most; a greater value counts as 1000.
    #[param(value_type = Option<Limit>, inline, nullable = false)]
    limit: usize,
    /// The `next` of the page before, of a list with otherwise the same parameters.
    #[param(pattern = "^[bf][1-9][0-9]{0,15}$", nullable = false)]
    cursor: Option<String>,
}

impl FromQuery for Messages {
    fn read(parameters: &mut Parameters) -> Result<Self, Error> {
        let from: Option<Moment> = parameters.parsed("from", NO_MOMENT)?;
        let to: Option<Moment> = parameters.parsed("to", NO_MOMENT)?;
        Ok(Self {
            from: from.map(Moment::first),
            to: to.map(Moment::last),
            after_seq: parameters.whole("after_seq", 0)?,
            before_seq: parameters.whole("before_seq", 0)?,
            limit: parameters.limit()?,
            cursor: parameters.cursor()?,
        })
    }
}

impl Messages {
    /// The part that is meant, and in which direction the next page lies.
    pub(super) fn history(self) -> Result<(History, List), Error> {
        let mut range = Range {
            after: self.after_seq,
            before: self.before_seq,
            from: self.from,
            to: self.to,
        };
        let direction = match cursor::message(self.cursor.as_deref())? {
            Some((List::Later, seq)) => {
                range.after = Some(range.after.map_or(seq, |after| after.max(seq)));
                List::Later
            }
            Some((_, seq)) => {
                range.before = Some(range.before.map_or(seq, |before| before.min(seq)));
                List::Earlier
            }
            None if self.after_seq.is_some() => List::Later,
            None => List::Earlier,
        };
        let window = match direction {
            List::Later => Window::First(self.limit),
            _ => Window::Last(self.limit),
        };
        Ok((History { range, window }, direction))
    }
}

/// List messages
///
/// Oldest first. The latest ones of the range are taken, and `next` leads to earlier ones; with
/// `after_seq` the first ones, and `next` leads to later ones.
#[utoipa::path(
    get, path = "/chats/{chat}/messages", operation_id = "listMessages", tag = "messages",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        Messages
    ),
    responses(
        (status = 200, description = "A page of messages.", body = MessageList),
        CommonErrors, NotFoundError
    )
)]
pub async fn list(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    Query(query): Query<Messages>,
) -> Result<Json<MessageList>, Problem> {
    let (history, direction) = query.history()?;
    let command = Command::ListMessages {
        user: None,
        chat,
        history,
        positions: Positions::Omitted,
    };
    let Reply::Messages(page, _) = caller.execute(command).await? else {
        return Err(wrong_reply().into());
    };
    let end = match direction {
        List::Later => page.messages.last(),
        _ => page.messages.first(),
    };
    let next = end.filter(|_| page.has_more);
    Ok(Json(MessageList {
        has_more: page.has_more,
        next: next.map(|message| cursor::write(direction, message.seq)),
        messages: page.messages.iter().map(MessageView::from).collect(),
    }))
}

/// Send a message
///
/// An `Idempotency-Key` stands for the `client_id` if that is not given, and is at most 64
/// characters long then.
#[utoipa::path(
    post, path = "/chats/{chat}/messages", operation_id = "sendMessage", tag = "messages",
    params(
        ("chat" = inline(ChatInPath), Path, description = "The UUID, the number, or `external:` and the name of a chat."),
        (
            "Idempotency-Key" = Option<String>, Header, nullable = false,
            description = "Stands for `client_id`.",
            pattern = "^[!-~]{1,64}$", min_length = 1, max_length = 64
        )
    ),
    request_body = NewMessage,
    responses(
        (status = 201, description = "The message that is stored.", body = MessageView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn send(
    caller: ServiceCaller,
    PathId(ChatName(chat)): PathId<ChatName>,
    _: Query<()>,
    Key(key): Key,
    Body(new): Body<NewMessage>,
) -> Result<(StatusCode, Json<MessageView>), Problem> {
    let client_id = client_id(key, new.client_id)?;
    let user = match new.user_id {
        Some(UserName(user)) => Some(user),
        None if caller.identity.user.is_some() => None,
        None => {
            let why = "is missing, and without a token there is no other user";
            return Err(Error::invalid("userId", why).into());
        }
    };
    let command = Command::SendMessage {
        user,
        chat,
        draft: Draft {
            kind: new.kind.unwrap_or_else(|| "text".to_owned()),
            photos: new.photos.unwrap_or_default(),
            client_id,
            metadata: new.metadata,
            ..Draft::text(new.text)
        },
    };
    match caller.execute(command).await? {
        Reply::Sent(sent) => Ok((StatusCode::CREATED, Json((&**sent.message()).into()))),
        _ => Err(wrong_reply().into()),
    }
}

fn client_id(key: Option<String>, client_id: Option<String>) -> Result<Option<String>, Error> {
    match (key, client_id) {
        (Some(key), Some(client_id)) if key != client_id => {
            Err(Error::invalid(key::NAME, "is not the same as client_id"))
        }
        (Some(key), _) if key.len() > CLIENT_ID_CHARS => {
            let why = format!("must be at most {CLIENT_ID_CHARS} characters for a message");
            Err(Error::invalid(key::NAME, &why))
        }
        (key, client_id) => Ok(client_id.or(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: Option<&str>, after_seq: Option<Seq>) -> (History, List) {
        let query = Messages {
            from: None,
            to: None,
            after_seq,
            before_seq: Some(50),
            limit: 7,
            cursor: cursor.map(str::to_owned),
        };
        query.history().expect("a history")
    }

    #[test]
    fn the_latest_messages_are_wanted_unless_a_place_is_named() {
        let (history, direction) = page(None, None);
        assert_eq!(
            (history.window, direction),
            (Window::Last(7), List::Earlier)
        );
        let (history, direction) = page(None, Some(0));
        assert_eq!((history.window, direction), (Window::First(7), List::Later));
    }

    #[test]
    fn a_cursor_goes_on_where_the_page_before_ended() {
        let (history, direction) = page(Some("b20"), None);
        assert_eq!(history.range.before, Some(20));
        assert_eq!(
            (history.window, direction),
            (Window::Last(7), List::Earlier)
        );
        let (history, direction) = page(Some("f20"), Some(3));
        assert_eq!(
            (history.range.after, history.range.before),
            (Some(20), Some(50))
        );
        assert_eq!((history.window, direction), (Window::First(7), List::Later));
    }

    #[test]
    fn a_key_stands_for_a_client_id_and_may_not_contradict_it() {
        let named = |key: Option<&str>, id: Option<&str>| {
            client_id(key.map(str::to_owned), id.map(str::to_owned)).ok()
        };
        let name = Some(Some("a".to_owned()));
        assert_eq!(named(Some("a"), None), name);
        assert_eq!(named(None, Some("a")), name);
        assert_eq!(named(Some("a"), Some("a")), name);
        assert_eq!(named(None, None), Some(None));
        assert_eq!(named(Some("a"), Some("b")), None);
        assert_eq!(named(Some(&"a".repeat(65)), None), None);
    }
}
