//! Moving in what exists elsewhere, some records at a time: what `polychat import --to` sends.
//! Does not know the format of a record: `archive` does.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::archive::{self, Line};
use super::body::Body;
use super::caller::{ImportCaller, wrong_reply};
use super::problem::{BodyErrors, Code, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use crate::model::{
    ChatId, Command, Error, ImportRefusal, Imported, ImportedNames, Reply, Seq, pair,
};

/// Records to move in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"records": [
    {"type": "user", "externalUserId": "14", "pk": 14, "name": "Anna"},
    {"type": "chat", "externalChatId": "room-7", "members": [{"externalUserId": "14"}]},
    {
        "type": "message", "chat": "external:room-7", "original_id": "8812",
        "sender": "external:14", "text": "Soup?", "created_at": "2024-03-01T13:51:53.285Z"
    }
]})))]
pub struct Records {
    /// At most 1000, in the format of `polychat import`. The users, events and chats that a record names stand
    /// before it or exist already.
    #[schema(value_type = Vec<Object>, max_items = 1000)]
    records: Vec<Box<RawValue>>,
}

/// The outcome of each record, in their order.
#[derive(Serialize, ToSchema)]
pub struct Outcomes {
    /// The outcomes.
    records: Vec<OutcomeView>,
}

/// What was done with a record.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImportVerdict)]
pub enum Verdict {
    /// It is new.
    Created,
    /// It was there before, and is unchanged.
    Found,
    /// It was not moved in.
    Refused,
}

/// The outcome of one record.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportOutcome)]
pub struct OutcomeView {
    /// What was done with it.
    outcome: Verdict,
    /// The id in polychat.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The number in polychat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pk: Option<i64>,
    /// The chat of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    chat: Option<ChatId>,
    /// The number of a message in its chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false)]
    seq: Option<Seq>,
    /// How many members were added to a chat that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    members_added: Option<usize>,
    /// The kind of the error, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<Code>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Import records
///
/// Moves in users, events, chats, messages with their authors and times, and read positions. What is there already
/// is found and stays as it is, so that an import can be repeated. A record that is refused does not affect the others.
#[utoipa::path(
    post, path = "/import", operation_id = "import", tag = "import",
    request_body = Records,
    responses(
        (status = 200, description = "What was done with each record.", body = Outcomes),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn import(
    ImportCaller(caller): ImportCaller,
    _: Query<()>,
    Body(Records { records }): Body<Records>,
) -> Result<Json<Outcomes>, Problem> {
    let mut outcomes: Vec<Option<OutcomeView>> = Vec::with_capacity(records.len());
    let mut valid = Vec::new();
    for json in &records {
        outcomes.push(match archive::read(json.get()) {
            Ok(Line::Record { record, .. }) => {
                valid.push(record);
                None
            }
            Ok(Line::Header) => {
                let why = "is that of the first line of a file, and of no record";
                Some(Error::invalid("type", why).into())
            }
            Err(error) => Some(error.into()),
        });
    }
    let Reply::Imported(done) = caller.execute(Command::Import(valid)).await? else {
        return Err(wrong_reply().into());
    };
    let mut done = done.into_iter();
    let mut records = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let executed = || done.next().map(OutcomeView::from);
        records.push(outcome.or_else(executed).ok_or_else(wrong_reply)?);
    }
    Ok(Json(Outcomes { records }))
}

impl From<Error> for OutcomeView {
    fn from(error: Error) -> Self {
        Self::from(Err(ImportRefusal::from(error)))
    }
}

impl From<Result<Imported, ImportRefusal>> for OutcomeView {
    fn from(outcome: Result<Imported, ImportRefusal>) -> Self {
        let mut view = Self {
            outcome: Verdict::Refused,
            id: None,
            pk: None,
            chat: None,
            seq: None,
            members_added: None,
            code: None,
            detail: None,
        };
        let imported = match outcome {
            Ok(imported) => imported,
            Err(ImportRefusal { kind, message }) => {
                view.code = Some(kind.into());
                view.detail = Some(message);
                return view;
            }
        };
        view.outcome = if imported.is_new {
            Verdict::Created
        } else {
            Verdict::Found
        };
        match imported.names {
            ImportedNames::User { id, pk } => {
                view.id = Some(id.to_string());
                view.pk = Some(pk);
            }
            ImportedNames::Event { pk } => view.pk = Some(pk),
            ImportedNames::Chat { id, pk, added } => {
                view.id = Some(id.to_string());
                view.pk = Some(pk);
                view.members_added = Some(added).filter(|added| *added > 0);
            }
            ImportedNames::Message {
                chat,
                chat_pk,
                id,
                seq,
            } => {
                view.id = Some(id.to_string());
                view.pk = pair(chat_pk, seq);
                view.chat = Some(chat);
                view.seq = Some(seq);
            }
            ImportedNames::Nothing => {}
        }
        view
    }
}
