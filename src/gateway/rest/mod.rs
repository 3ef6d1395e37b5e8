//! HTTP without sockets: the REST API for the host application's backend, its description, the
//! index page and the health checks.
//! Does not know the store, nor rights.

mod answers;
pub mod archive;
mod audit;
mod body;
mod caller;
mod chats;
mod content;
mod cursor;
mod document;
mod event_chats;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod health;
mod import;
mod key;
mod media;
mod members;
mod messages;
mod moderation;
mod names;
mod numbers;
mod on_behalf;
mod problem;
mod query;
mod request_log;
mod revocation;
mod schemas;
mod tokens;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::{from_fn, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use self::caller::Server;
use self::problem::Problem;
use crate::gateway::state::GatewayState;
use crate::model::{Error, ErrorKind};
use crate::service::Service;
use crate::telemetry::{DialectLabel, Metrics};

/// Where the API is.
pub const ROOT: &str = "/api/v1";

/// The routes over plain HTTP. `requests`: the tasks to finish before the server ends;
/// `body_bytes`: the longest body of a request.
pub fn router(state: &GatewayState, requests: TaskTracker, body_bytes: usize) -> Router {
    let server = Server {
        state: state.clone(),
        requests,
        body_bytes,
    };
    let (api, description) = api(Arc::new(server));
    let api = api.merge(document::serve(&description, &state.authenticator));
    let api = api
        .fallback(async || Problem::from(Error::not_found("address")))
        .method_not_allowed_fallback(async || wrong_method())
        .layer(map_response_with_state(state.metrics.clone(), count));
    let api = if state.log_requests {
        api.layer(from_fn(request_log::log))
    } else {
        api
    };
    plain(Arc::clone(&state.service))
        .nest_service(ROOT, api)
        .merge(document::page())
}

/// Counts refusals.
async fn count(State(metrics): State<Metrics>, response: Response) -> Response {
    if let Some(kind) = response.extensions().get::<ErrorKind>() {
        metrics.refused(DialectLabel::Rest, *kind);
    }
    response
}

/// Whether the address is of the API.
pub fn is_api(path: &str) -> bool {
    let below = path.strip_prefix(ROOT);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Whether this is the path of a health check.
pub fn is_health(path: &str) -> bool {
    ["/livez", "/readyz", "/healthz"].contains(&path.trim_end_matches('/'))
}

/// Whether this is the path of a check whether the server can serve.
pub fn is_readiness(path: &str) -> bool {
    ["/readyz", "/healthz"].contains(&path.trim_end_matches('/'))
}

/// An error in the format of the API.
pub fn refusal(error: Error) -> Response {
    Problem::from(error).into_response()
}

/// The routes `/`, `/livez`, `/readyz`, `/healthz`, and the default avatar.
fn plain(service: Arc<Service>) -> Router {
    let router = Router::new()
        .route("/", get(health::hello))
        .route(media::DEFAULT_AVATAR, get(media::default_avatar))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::ready));
    // Every address works with and without its trailing slash.
    let router = router
        .route("/livez/", get(health::alive))
        .route("/readyz/", get(health::ready))
        .route("/healthz/", get(health::ready));
    router.with_state(service)
}

/// Every operation, and the description of all.
fn api(server: Arc<Server>) -> (Router, OpenApi) {
    let blank = document::blank(&server.state.authenticator);
    let (router, description) = operations(blank);
    (router.with_state(server), description)
}

fn operations(blank: OpenApi) -> (Router<Arc<Server>>, OpenApi) {
    let operations: [UtoipaMethodRouter<Arc<Server>>; 23] = [
        routes!(users::create, users::list),
        routes!(users::get, users::change),
        routes!(chats::create, chats::list),
        routes!(chats::get, chats::change, chats::delete),
        routes!(members::add, moderation::list_members),
        routes!(members::remove),
        routes!(moderation::set_role),
        routes!(moderation::mute, moderation::unmute),
        routes!(moderation::ban, moderation::unban),
        routes!(moderation::list_bans),
        routes!(messages::send, messages::list),
        routes!(events::create, events::list),
        routes!(events::get, events::change, events::delete),
        routes!(event_chats::open),
        routes!(event_chats::grant),
        routes!(tokens::create),
        routes!(revocation::revoke),
        routes!(audit::list),
        routes!(on_behalf::mark_read),
        routes!(on_behalf::apply),
        routes!(on_behalf::sync),
        routes!(on_behalf::disconnect),
        routes!(import::import),
    ];
    let mut router = OpenApiRouter::with_openapi(blank);
    for operation in operations {
        let (_, paths, methods) = &operation;
        let (paths, methods) = (paths.paths.clone(), methods.clone());
        router = router.routes(operation);
        for path in paths.into_keys() {
            // Every address works with and without its trailing slash.
            router = router.route(&format!("{path}/"), methods.clone());
        }
    }
    router.split_for_parts()
}

fn wrong_method() -> Problem {
    let error = Error::invalid("method", "cannot be used at this address");
    Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, error)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::auth::Authenticator;

    fn description() -> Value {
        let (_, description) = operations(document::blank(&Authenticator::open()));
        document::finished(&description, &Authenticator::open())
    }

    /// Every operation with its method and path.
    fn all(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        let methods = paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("methods");
            let named = move |(method, operation)| (format!("{method} {path}"), operation);
            item.iter().map(named)
        });
        methods.collect()
    }

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_says_how_it_may_be_refused() {
        let document = description();
        let all = all(&document);
        assert_eq!(all.len(), 35);
        for (name, operation) in all {
            assert!(operation["operationId"].is_string(), "{name}");
            assert!(operation["tags"][0].is_string(), "{name}");
            let mut statuses = vec!["400", "401", "403", "429", "500", "503"];
            if operation["requestBody"].is_object() {
                statuses.extend(["413", "415"]);
            }
            if name.contains('{') {
                statuses.push("404");
            }
            for status in statuses {
                assert!(
                    operation["responses"][status].is_object(),
                    "{name} {status}"
                );
            }
        }
    }

    #[test]
    fn everything_that_the_document_refers_to_is_in_it() {
        let document = description();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let place = reference.trim_start_matches('#');
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn no_request_may_have_fields_that_nobody_knows() {
        let document = description();
        for (name, operation) in all(&document) {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(schema) = body.as_str() else {
                continue;
            };
            let schema = document.pointer(schema.trim_start_matches('#'));
            let schema = schema.expect("a schema");
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn the_api_is_below_its_root() {
        for path in ["/api/v1", "/api/v1/", "/api/v1/users"] {
            assert!(is_api(path), "{path}");
        }
        for path in ["/", "/api", "/api/v10", "/docs"] {
            assert!(!is_api(path), "{path}");
        }
    }
}
