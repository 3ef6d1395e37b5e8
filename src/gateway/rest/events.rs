//! Events of a marketplace: create, get, change, delete and list them.
//! Does not know the chats of an event: `event_chats` does.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Created;
use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::cursor::{self, List};
use super::key::Key;
use super::names::{EventName, PathId, UserName};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, ConflictError, NotFoundError, Problem};
use super::query::{FromQuery, Parameters, Query};
use super::schemas::{EventInPath, Limit, UserInPath, icons};
use crate::gateway::dialect::timestamps::time;
use crate::model::{Command, Error, Event, EventChange, EventDetails, Reply};

/// An event.
#[derive(Serialize, ToSchema)]
#[schema(as = Event, examples(json!({
    "id": 10, "eventOwnerId": 14, "name": "Picnic", "iconsUUIDs": ["icon-1"],
    "location": "ONLINE", "dateFromS": 1_740_837_113, "dateToS": 1_740_844_313,
    "created_at": "2025-03-01T13:51:53.285Z", "modified_at": "2025-03-01T13:51:53.285Z"
})))]
pub struct EventView {
    /// Its number, which is its only id.
    #[schema(minimum = 1)]
    id: i64,
    /// The number of its owner.
    #[serde(rename = "eventOwnerId")]
    #[schema(minimum = 1)]
    owner: i64,
    /// The name.
    name: String,
    /// The ids of its pictures in the host application.
    #[serde(rename = "iconsUUIDs")]
    icons: Vec<String>,
    /// The place, as the host application writes it.
    location: String,
    /// When it begins, in seconds since 1970.
    #[serde(rename = "dateFromS")]
    starts: i64,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "dateToS")]
    ends: i64,
    /// When it was created.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When something about it last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let details = event.details.clone();
        Self {
            id: event.pk,
            owner: event.owner.pk,
            name: details.name,
            icons: details.icons,
            location: details.location,
            starts: details.starts,
            ends: details.ends,
            created_at: event.created_at,
            modified_at: event.modified_at,
        }
    }
}

/// Some events, by id.
#[derive(Serialize, ToSchema)]
pub struct EventList {
    /// The events.
    events: Vec<EventView>,
    /// The `cursor` of the next page; null: this is the last one.
    next: Option<String>,
}

/// An event to create.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "eventOwnerId": 1, "name": "Picnic", "iconsUUIDs": ["icon-1"], "location": "ONLINE",
    "dateFromS": 1_740_837_113, "dateToS": 1_740_844_313
})))]
pub struct NewEvent {
    /// Its number, if the host application chooses it. One that another event has is a conflict.
    #[serde(
        default,
        deserialize_with = "numbers::optional_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    id: Option<i64>,
    /// Its owner. An unknown external id makes a new user.
    #[serde(rename = "eventOwnerId")]
    owner: UserName,
    /// The name. At most 1024 bytes.
    #[schema(min_length = 1, max_length = 1024, pattern = r"\S")]
    name: String,
    /// The ids of its pictures in the host application. At most 256 bytes each.
    #[serde(rename = "iconsUUIDs")]
    #[schema(schema_with = icons)]
    icons: Option<Vec<String>>,
    /// Where it takes place. At most 1024 bytes.
    #[schema(max_length = 1024)]
    location: Option<String>,
    /// When it begins, in seconds since 1970.
    #[serde(rename = "dateFromS", deserialize_with = "numbers::whole")]
    #[schema(minimum = -377_705_023_201_i64, maximum = 253_402_207_200_i64)]
    starts: i64,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "dateToS", deserialize_with = "numbers::whole")]
    #[schema(minimum = -377_705_023_201_i64, maximum = 253_402_207_200_i64)]
    ends: i64,
}

/// The changes of an event. A field that is not given stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventChange, examples(json!({"location": "Riga"})))]
pub struct Change {
    /// The name. At most 1024 bytes.
    #[schema(min_length = 1, max_length = 1024, pattern = r"\S")]
    name: Option<String>,
    /// The ids of its pictures in the host application. At most 256 bytes each.
    #[serde(rename = "iconsUUIDs")]
    #[schema(schema_with = icons)]
    icons: Option<Vec<String>>,
    /// Where it takes place. At most 1024 bytes.
    #[schema(max_length = 1024)]
    location: Option<String>,
    /// When it begins, in seconds since 1970.
    #[serde(default, rename = "dateFromS", deserialize_with = "numbers::optional")]
    #[schema(minimum = -377_705_023_201_i64, maximum = 253_402_207_200_i64)]
    starts: Option<i64>,
    /// When it ends, in seconds since 1970.
    #[serde(default, rename = "dateToS", deserialize_with = "numbers::optional")]
    #[schema(minimum = -377_705_023_201_i64, maximum = 253_402_207_200_i64)]
    ends: Option<i64>,
}

/// Which events to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Events {
    /// Only this user's events.
    #[param(value_type = Option<UserInPath>, inline, nullable = false)]
    owner: Option<UserName>,
    /// How many at most; a greater value counts as 1000.
    #[param(value_type = Option<Limit>, inline, nullable = false)]
    limit: usize,
    /// The `next` of the page before, of a list with the same `owner`.
    #[param(pattern = "^e[1-9][0-9]{0,15}$", nullable = false)]
    cursor: Option<String>,
}

impl FromQuery for Events {
    fn read(parameters: &mut Parameters) -> Result<Self, Error> {
        Ok(Self {
            owner: parameters.parsed("owner", "must be the UUID or the number of a user")?,
            limit: parameters.limit()?,
            cursor: parameters.cursor()?,
        })
    }
}

/// Create an event
///
/// With an `Idempotency-Key` the same request again is answered with the event created first;
/// another request under that key is a conflict.
#[utoipa::path(
    post, path = "/events", operation_id = "createEvent", tag = "events",
    params((
        "Idempotency-Key" = Option<String>, Header, nullable = false,
        description = "A name for this request, by which a repetition is known.",
        pattern = "^[!-~]{1,255}$", min_length = 1, max_length = 255
    )),
    request_body = NewEvent,
    responses(
        (
            status = 201, description = "The event.", body = EventView,
            headers(("Location" = String, description = "Where the event is."))
        ),
        CommonErrors, NotFoundError, ConflictError, BodyErrors
    )
)]
pub async fn create(
    caller: ServiceCaller,
    _: Query<()>,
    key: Key,
    Body(new): Body<NewEvent>,
) -> Result<Created<EventView>, Problem> {
    let command = Command::CreateEvent {
        key: key.of(&new),
        pk: new.id,
        owner: new.owner.0,
        details: EventDetails {
            name: new.name,
            icons: new.icons.unwrap_or_default(),
            location: new.location.unwrap_or_default(),
            starts: new.starts,
            ends: new.ends,
        },
    };
    let event = event(caller.execute(command).await?)?;
    Ok(Created {
        location: format!("events/{}", event.pk),
        body: (&event).into(),
    })
}

/// Get an event
#[utoipa::path(
    get, path = "/events/{event}", operation_id = "getEvent", tag = "events",
    params(("event" = inline(EventInPath), Path, description = "The number of an event.")),
    responses((status = 200, description = "The event.", body = EventView), CommonErrors, NotFoundError)
)]
pub async fn get(
    caller: ServiceCaller,
    PathId(EventName(named)): PathId<EventName>,
    _: Query<()>,
) -> Result<Json<EventView>, Problem> {
    let reply = caller.execute(Command::GetEvent { event: named }).await?;
    Ok(Json((&event(reply)?).into()))
}

/// Change an event
///
/// Fields that are not given, or null, stay as they are.
#[utoipa::path(
    patch, path = "/events/{event}", operation_id = "changeEvent", tag = "events",
    params(("event" = inline(EventInPath), Path, description = "The number of an event.")),
    request_body = Change,
    responses(
        (status = 200, description = "The event afterwards.", body = EventView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn change(
    caller: ServiceCaller,
    PathId(EventName(named)): PathId<EventName>,
    _: Query<()>,
    Body(change): Body<Change>,
) -> Result<Json<EventView>, Problem> {
    let change = EventChange {
        name: change.name,
        icons: change.icons,
        location: change.location,
        starts: change.starts,
        ends: change.ends,
    };
    let command = if change == EventChange::default() {
        Command::GetEvent { event: named }
    } else {
        let event = named;
        Command::ChangeEvent { event, change }
    };
    let reply = caller.execute(command).await?;
    Ok(Json((&event(reply)?).into()))
}

/// Delete an event with all its chats
#[utoipa::path(
    delete, path = "/events/{event}", operation_id = "deleteEvent", tag = "events",
    params(("event" = inline(EventInPath), Path, description = "The number of an event.")),
    responses((status = 204, description = "It is gone."), CommonErrors, NotFoundError)
)]
pub async fn delete(
    caller: ServiceCaller,
    PathId(EventName(event)): PathId<EventName>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    caller.execute(Command::DeleteEvent { event }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List events
///
/// By id, the lowest first.
#[utoipa::path(
    get, path = "/events", operation_id = "listEvents", tag = "events",
    params(Events),
    responses(
        (status = 200, description = "A page of events.", body = EventList),
        CommonErrors, NotFoundError
    )
)]
pub async fn list(
    caller: ServiceCaller,
    Query(query): Query<Events>,
) -> Result<Json<EventList>, Problem> {
    let after = cursor::after(List::Events, query.cursor.as_deref())?;
    let owner = match query.owner {
        Some(UserName(owner)) => Some(caller.user_id(owner).await?),
        None => None,
    };
    let command = Command::ListEvents {
        owner,
        after,
        limit: Some(query.limit),
    };
    match caller.execute(command).await? {
        Reply::Events(page) => Ok(Json(EventList {
            events: page.events.iter().map(EventView::from).collect(),
            next: page.next.map(|pk| cursor::write(List::Events, pk)),
        })),
        _ => Err(wrong_reply().into()),
    }
}

fn event(reply: Reply) -> Result<Event, Error> {
    match reply {
        Reply::Event(event) => Ok(event),
        _ => Err(wrong_reply()),
    }
}
