//! Users: make them known, look at them, change them, list them.
//! Does not validate a profile: the service does.

use axum::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::cursor::{self, List};
use super::names::{PathId, UserName};
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, ConflictError, NotFoundError, Problem};
use super::query::{FromQuery, Parameters, Query};
use super::schemas::{Limit, UserInPath};
use crate::gateway::dialect::timestamps::time;
use crate::model::{Command, Error, Profile, Reply, User, UserId, UserPage};

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User, examples(json!({
    "id": "01955b2e-6d55-7a41-a0f8-7c2f0f6f1d11", "pk": 1, "externalUserId": "anna",
    "username": "anna", "name": "Anna", "avatar": "/media/default/default.jpg", "github": "",
    "imageUUID": null, "created_at": "2025-03-01T13:51:53.285Z",
    "modified_at": "2025-03-01T13:51:53.285Z"
})))]
pub struct UserView {
    /// The id that polychat gave.
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// The same as a small integer.
    #[schema(minimum = 1)]
    pk: i64,
    /// The id in the host application; unique.
    #[serde(rename = "externalUserId")]
    external_user_id: String,
    /// The handle; at first the external id.
    username: String,
    /// The name to show; at first the username.
    name: String,
    /// Where the picture is.
    avatar: String,
    /// The account on GitHub, or empty.
    github: String,
    /// The picture's id in the host application.
    #[serde(rename = "imageUUID")]
    image_uuid: Option<String>,
    /// When the user was first seen.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the profile last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            pk: user.pk,
            external_user_id: user.external_id,
            username: user.username,
            name: user.name,
            avatar: user.avatar,
            github: user.github,
            image_uuid: user.image_uuid,
            created_at: user.created_at,
            modified_at: user.modified_at,
        }
    }
}

/// Some users, by `pk`.
#[derive(Serialize, ToSchema)]
pub struct UserList {
    /// The users.
    users: Vec<UserView>,
    /// The `cursor` of the next page; null: this is the last one.
    next: Option<String>,
}

impl From<UserPage> for UserList {
    fn from(page: UserPage) -> Self {
        Self {
            users: page.users.into_iter().map(UserView::from).collect(),
            next: page.next.map(|pk| cursor::write(List::Users, pk)),
        }
    }
}

/// A user to find by the external id, or to create. Fields in the request replace the stored ones.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"externalUserId": "anna", "name": "Anna"})))]
pub struct NewUser {
    /// The id in the host application.
    #[serde(rename = "externalUserId")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    external_user_id: String,
    /// The integer id of a new user, if the host application chooses it. Another number than the user has, or one that
    /// another user has, is a conflict.
    #[serde(default, deserialize_with = "numbers::optional_id")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    pk: Option<i64>,
    /// The handle; at first the external id. At most 2048 bytes, like all that follow.
    #[schema(min_length = 1, max_length = 2048, pattern = r"\S")]
    username: Option<String>,
    /// The name to show; at first the username.
    #[schema(max_length = 2048)]
    name: Option<String>,
    /// Where the picture is.
    #[schema(max_length = 2048)]
    avatar: Option<String>,
    /// The account on GitHub.
    #[schema(max_length = 2048)]
    github: Option<String>,
    /// The picture's id in the host application.
    #[serde(rename = "imageUUID")]
    #[schema(max_length = 2048)]
    image_uuid: Option<String>,
}

/// The changes of a user. A field that is not given stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "Anna K."})))]
pub struct UserChange {
    /// The handle. At most 2048 bytes, like all that follow.
    #[schema(min_length = 1, max_length = 2048, pattern = r"\S")]
    username: Option<String>,
    /// The name to show.
    #[schema(max_length = 2048)]
    name: Option<String>,
    /// Where the picture is.
    #[schema(max_length = 2048)]
    avatar: Option<String>,
    /// The account on GitHub.
    #[schema(max_length = 2048)]
    github: Option<String>,
    /// The picture's id in the host application.
    #[serde(rename = "imageUUID")]
    #[schema(max_length = 2048)]
    image_uuid: Option<String>,
}

/// Which users to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Users {
    /// How many at most; a greater value counts as 1000.
    #[param(value_type = Option<Limit>, inline, nullable = false)]
    limit: usize,
    /// The `next` of the page before.
    #[param(pattern = "^u[1-9][0-9]{0,15}$", nullable = false)]
    cursor: Option<String>,
}

impl FromQuery for Users {
    fn read(parameters: &mut Parameters) -> Result<Self, Error> {
        Ok(Self {
            limit: parameters.limit()?,
            cursor: parameters.cursor()?,
        })
    }
}

/// Find or create a user
///
/// Finds the user with this external id, or creates it. Profile fields in the request replace the
/// stored ones; `modified_at` moves only if that changes something.
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "users",
    request_body = NewUser,
    responses(
        (status = 200, description = "The user.", body = UserView),
        CommonErrors, ConflictError, BodyErrors
    )
)]
pub async fn create(
    caller: ServiceCaller,
    _: Query<()>,
    Body(new): Body<NewUser>,
) -> Result<Json<UserView>, Problem> {
    let command = Command::CreateUser {
        external_id: Some(new.external_user_id),
        pk: new.pk,
        profile: Profile {
            username: new.username,
            name: new.name,
            avatar: new.avatar,
            github: new.github,
            image_uuid: new.image_uuid,
        },
    };
    user(caller.execute(command).await?)
}

/// Get a user
#[utoipa::path(
    get, path = "/users/{user}", operation_id = "getUser", tag = "users",
    params(("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")),
    responses((status = 200, description = "The user.", body = UserView), CommonErrors, NotFoundError)
)]
pub async fn get(
    caller: ServiceCaller,
    PathId(UserName(named)): PathId<UserName>,
    _: Query<()>,
) -> Result<Json<UserView>, Problem> {
    user(caller.execute(Command::GetUser { user: named }).await?)
}

/// Change a user
///
/// Fields that are not given, or null, stay as they are.
#[utoipa::path(
    patch, path = "/users/{user}", operation_id = "changeUser", tag = "users",
    params(("user" = inline(UserInPath), Path, description = "The UUID or the number of a user, or `external:` with its id in your application.")),
    request_body = UserChange,
    responses(
        (status = 200, description = "The user afterwards.", body = UserView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn change(
    caller: ServiceCaller,
    PathId(UserName(named)): PathId<UserName>,
    _: Query<()>,
    Body(change): Body<UserChange>,
) -> Result<Json<UserView>, Problem> {
    let command = Command::UpdateUser {
        user: named,
        profile: Profile {
            username: change.username,
            name: change.name,
            avatar: change.avatar,
            github: change.github,
            image_uuid: change.image_uuid,
        },
    };
    user(caller.execute(command).await?)
}

/// List all users
///
/// By `pk`, the lowest first.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "users",
    params(Users),
    responses((status = 200, description = "A page of users.", body = UserList), CommonErrors)
)]
pub async fn list(
    caller: ServiceCaller,
    Query(query): Query<Users>,
) -> Result<Json<UserList>, Problem> {
    let command = Command::ListUsers {
        after: cursor::after(List::Users, query.cursor.as_deref())?,
        limit: Some(query.limit),
    };
    match caller.execute(command).await? {
        Reply::Users(page) => Ok(Json(page.into())),
        _ => Err(wrong_reply().into()),
    }
}

fn user(reply: Reply) -> Result<Json<UserView>, Problem> {
    match reply {
        Reply::User(user) => Ok(Json(user.into())),
        _ => Err(wrong_reply().into()),
    }
}
