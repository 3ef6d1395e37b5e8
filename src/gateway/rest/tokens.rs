//! Tokens for the host application's users.
//! Does not sign anything: `auth` does.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{ServiceCaller, wrong_reply};
use super::names::UserName;
use super::numbers;
use super::problem::{BodyErrors, CommonErrors, NotFoundError, Problem};
use super::query::Query;
use crate::auth::MintError;
use crate::gateway::dialect::timestamps::time;
use crate::model::{Command, Error, ErrorKind, Reply, Rights};

/// The default lifetime of a token, in seconds.
const USUAL: u64 = 3600;

/// How long a token is good at most, in seconds: 30 days.
const LONGEST: u64 = 30 * 24 * 3600;

/// A token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token, examples(json!({
    "token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
    "expires_at": "2025-03-01T14:51:53.000Z"
})))]
struct TokenView {
    /// The token for the user's client.
    token: String,
    /// Until when.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// A token to make, for a user given in one of two ways.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"externalUserId": "anna", "ttl_s": 3600})))]
pub struct NewToken {
    /// The user.
    #[serde(rename = "userId")]
    user: Option<UserName>,
    /// The user's id in the host application, whether it is known here already or not.
    #[serde(rename = "externalUserId")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    external_user_id: Option<String>,
    /// How long it is valid, in seconds.
    #[serde(default, deserialize_with = "numbers::optional")]
    #[schema(minimum = 1, maximum = 2_592_000, default = 3600)]
    ttl_s: Option<i64>,
}

/// Make a token for a user
///
/// For a service token only, on a server with a shared secret. The result is always a
/// user's token, never a service token.
#[utoipa::path(
    post, path = "/tokens", operation_id = "createToken", tag = "tokens",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token.", body = TokenView),
        CommonErrors, NotFoundError, BodyErrors
    )
)]
pub async fn create(
    caller: ServiceCaller,
    _: Query<()>,
    Body(new): Body<NewToken>,
) -> Result<Response, Problem> {
    if caller.identity.rights != Rights::Service {
        return Err(Error::forbidden(
            "this server has no tokens to make: a user's external id is the token (--auth open)",
        )
        .into());
    }
    let ttl = lifetime(new.ttl_s)?;
    let external_id = match (new.user, new.external_user_id) {
        (Some(UserName(user)), None) => match caller.execute(Command::GetUser { user }).await? {
            Reply::User(user) => user.external_id,
            _ => return Err(wrong_reply().into()),
        },
        (None, Some(external_id)) => external_id,
        _ => return Err(Error::invalid("body", "give either userId or externalUserId").into()),
    };
    let state = &caller.server.state;
    let minted = state
        .authenticator
        .mint(&external_id, ttl, state.clock.now());
    let minted = minted.map_err(refused)?;
    let record = Command::RecordToken {
        external_id,
        expires_at: minted.expires_at,
    };
    caller.execute(record).await?;
    let body = TokenView {
        token: minted.token,
        expires_at: minted.expires_at,
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

fn lifetime(seconds: Option<i64>) -> Result<Duration, Error> {
    let seconds = seconds.map_or(Some(USUAL), |seconds| u64::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    let why = || format!("must be a whole number from 1 to {LONGEST}");
    let seconds = seconds.ok_or_else(|| Error::invalid("ttl_s", &why()))?;
    Ok(Duration::from_secs(seconds))
}

fn refused(error: MintError) -> Error {
    match error {
        MintError::NoSecret => Error::forbidden(
            "this server has no shared secret: tokens are made with the private key, elsewhere",
        ),
        MintError::ExternalId(refusal) => {
            Error::new(ErrorKind::Invalid, format!("externalUserId: {refusal}"))
        }
        MintError::Secret(_) | MintError::Signing => {
            Error::new(ErrorKind::Internal, "the token could not be signed").because(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lasts_an_hour_and_thirty_days_at_most() {
        assert_eq!(lifetime(None).expect("a time").as_secs(), 3600);
        assert_eq!(lifetime(Some(1)).expect("a time").as_secs(), 1);
        assert!(lifetime(Some(2_592_000)).is_ok());
        for wrong in [0, -1, 2_592_001, i64::MIN, i64::MAX] {
            assert!(lifetime(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
