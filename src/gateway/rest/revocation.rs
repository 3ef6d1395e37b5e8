//! The revocation of a user's tokens.
//! Does not check tokens: `auth` and the service do.

use axum::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::names::{PathId, UserName};
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use super::schemas::{UserInPath, moment};
use crate::gateway::dialect::timestamps::{Moment, optional_time};
use crate::model::{Command, Reply, UserId};

/// Which tokens to revoke.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"before": "2025-03-01T14:51:53Z"})))]
pub struct Revocation {
    #[schema(schema_with = moment)]
    before: Option<Moment>,
}

/// The tokens of a user that are not valid.
#[derive(Serialize, ToSchema)]
#[schema(as = Revoked)]
pub struct RevokedView {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user: UserId,
    /// Those that were issued before this time.
    #[serde(serialize_with = "optional_time")]
    #[schema(value_type = String, format = DateTime)]
    revoked_before: Option<Timestamp>,
}

/// Revoke the tokens of a user
///
/// Tokens whose `iat` is earlier, or that have none, are not valid any more, and connections that were
/// opened with one are closed. The time never moves backwards.
#[utoipa::path(
    post, path = "/users/{user}/revoke", operation_id = "revokeTokens", tag = "tokens",
    params(("user" = inline(UserInPath), Path, description = "The UUID or the number of a user.")),
    request_body = Revocation,
    responses(
        (status = 200, description = "Since when tokens are valid.", body = RevokedView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn revoke(
    caller: ServiceCaller,
    PathId(UserName(user)): PathId<UserName>,
    _: Query<()>,
    Body(Revocation { before }): Body<Revocation>,
) -> Result<Json<RevokedView>, Problem> {
    let before = before.map(Moment::first);
    match caller
        .execute(Command::RevokeTokens { user, before })
        .await?
    {
        Reply::Revoked(user) => Ok(Json(RevokedView {
            user: user.id,
            revoked_before: user.revoked_before,
        })),
        _ => Err(wrong_reply().into()),
    }
}
