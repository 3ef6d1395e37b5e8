//! Imports into a running server, over its REST API.
//! Does not know what the server does with the records.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::http::StatusCode;
use ureq::{Agent, Body};

use super::Target;
use crate::gateway::archive;
use crate::model::{
    ChatId, Error, ErrorKind, ImportRecord, ImportRefusal, Imported, ImportedNames, Seq,
};

/// Where the server takes records.
const PATH: &str = "/api/v1/import";

/// How long a request may take.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The longest answer, in bytes.
const ANSWER: u64 = 16 * 1024 * 1024;

/// A running server.
pub struct Remote {
    agent: Agent,
    url: String,
    token: Option<SecretString>,
}

/// An address that cannot be that of a server, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("--to: \"{0}\" is no address of a server; write http://127.0.0.1:3000")]
pub struct RemoteError(String);

impl Remote {
    /// The server at this address.
    ///
    /// # Errors
    /// It is no URL of HTTP.
    pub fn new(address: &str, token: Option<SecretString>) -> Result<Self, RemoteError> {
        let wrong = || RemoteError(address.to_owned());
        let uri: ureq::http::Uri = address.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong());
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(TIME_LIMIT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            url: format!("{}{PATH}", address.trim_end_matches('/')),
            token,
        })
    }
}

#[async_trait]
impl Target for Remote {
    async fn send(
        &self,
        records: Vec<ImportRecord>,
    ) -> Result<Vec<Result<Imported, ImportRefusal>>, Error> {
        let lines: Vec<_> = records.iter().map(archive::write).collect();
        let body = format!("{{\"records\":[{}]}}", lines.join(","));
        let (agent, url) = (self.agent.clone(), self.url.clone());
        let token = self.token.clone();
        let sent = tokio::task::spawn_blocking(move || post(&agent, &url, token.as_ref(), body));
        let answer = sent
            .await
            .map_err(|failed| Error::new(ErrorKind::Internal, failed.to_string()))??;
        outcomes(&records, &answer)
    }
}

/// Sends a body; the answer.
fn post(
    agent: &Agent,
    url: &str,
    token: Option<&SecretString>,
    body: String,
) -> Result<String, Error> {
    let mut request = agent.post(url).header("content-type", "application/json");
    if let Some(token) = token {
        let token = token.expose_secret();
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = request
        .send(body)
        .map_err(|error| Error::unavailable(format!("{url} does not answer: {error}")))?;
    let (parts, mut body) = response.into_parts();
    let text = read(&mut body)?;
    match parts.status {
        StatusCode::OK => Ok(text),
        status => Err(refusal(url, status, &text)),
    }
}

fn read(body: &mut Body) -> Result<String, Error> {
    let text = body.with_config().limit(ANSWER).read_to_string();
    text.map_err(|error| Error::unavailable(format!("the answer broke off: {error}")))
}

/// The error that the server answered.
fn refusal(url: &str, status: StatusCode, text: &str) -> Error {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
        retry_after_ms: Option<u64>,
    }
    let problem: Option<Problem> = serde_json::from_str(text).ok();
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    let detail = problem.as_ref().map_or("", |problem| &problem.detail);
    Error {
        retry_after_ms: problem.as_ref().and_then(|problem| problem.retry_after_ms),
        ..Error::new(kind, format!("{url} answers {status} {detail}"))
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

/// The outcome of one record, as the server spells it.
#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "outcome")]
    verdict: String,
    id: Option<String>,
    pk: Option<i64>,
    chat: Option<ChatId>,
    seq: Option<Seq>,
    members_added: Option<usize>,
    detail: Option<String>,
}

fn outcomes(
    records: &[ImportRecord],
    answer: &str,
) -> Result<Vec<Result<Imported, ImportRefusal>>, Error> {
    let foreign = || Error::new(ErrorKind::Internal, "the answer is not that of a polychat");
    let answer: Answer<'_> = serde_json::from_str(answer).map_err(|_| foreign())?;
    let mut outcomes = Vec::with_capacity(records.len());
    for (record, json) in records.iter().zip(answer.records) {
        let outcome: Outcome = serde_json::from_str(json.get()).map_err(|_| foreign())?;
        outcomes.push(match &*outcome.verdict {
            "refused" => Err(ImportRefusal {
                kind: ErrorKind::Invalid,
                message: outcome.detail.unwrap_or_default(),
            }),
            kind => Ok(Imported {
                is_new: kind == "created",
                names: names(record, &outcome).ok_or_else(foreign)?,
            }),
        });
    }
    Ok(outcomes)
}

fn names(record: &ImportRecord, outcome: &Outcome) -> Option<ImportedNames> {
    let id = outcome.id.as_deref();
    Some(match record {
        ImportRecord::User(_) => ImportedNames::User {
            id: id?.parse().ok()?,
            pk: outcome.pk?,
        },
        ImportRecord::Event(_) => ImportedNames::Event { pk: outcome.pk? },
        ImportRecord::Chat(_) => ImportedNames::Chat {
            id: id?.parse().ok()?,
            pk: outcome.pk?,
            added: outcome.members_added.unwrap_or(0),
        },
        ImportRecord::Message(_) => ImportedNames::Message {
            chat: outcome.chat?,
            chat_pk: crate::model::unpair(outcome.pk?)?.0,
            id: id?.parse().ok()?,
            seq: outcome.seq?,
        },
        ImportRecord::Read(_) | ImportRecord::Numbers(_) => ImportedNames::Nothing,
    })
}
