//! The description of this API, made from the operations themselves (OpenAPI 3.1), and the page
//! that shows it.
//! Does not know the behaviour of an operation.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, Object, OpenApi, Ref, Response,
    ResponseBuilder, Type,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::problem::{MEDIA_TYPE, ProblemBody, REFUSALS};
use super::{ROOT, schemas};
use crate::auth::Authenticator;

/// Where the document is, below the root of the API.
pub const PATH: &str = "/openapi.json";

/// Where the page is.
const PAGE: &str = "/docs";

/// How a token is called in the document.
const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "polychat",
        description = "The REST API of a chat server, for the backend of the host application.\n\n\
            It needs a service token (`role: \"service\"`); a server with open authentication \
            needs none. Addresses work with and without a trailing slash. Every error is an \
            RFC 9457 problem with a `code`. Unknown fields and parameters are errors.",
        license(name = "MIT OR Apache-2.0")
    ),
    servers((url = "/api/v1", description = "This server")),
    tags(
        (name = "users", description = "Who takes part"),
        (name = "chats", description = "Conversations and their members"),
        (name = "messages", description = "The messages of a chat"),
        (name = "events", description = "What is offered, and the chats about it"),
        (name = "import", description = "Conversations from elsewhere"),
        (name = "tokens", description = "For users to connect with"),
        (name = "audit", description = "The acts on others")
    ),
    components(schemas(ProblemBody))
)]
struct Document;

/// The document before any operation is in it.
pub fn blank(authenticator: &Authenticator) -> OpenApi {
    let mut document = Document::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let mut components = ComponentsBuilder::from(document.components.unwrap_or_default())
        .security_scheme(BEARER, bearer);
    for (name, status, meaning) in REFUSALS {
        components = components.response(name, refusal(status, meaning));
    }
    document.components = Some(components.build());
    let needed = SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, []);
    document.security = Some(match authenticator {
        Authenticator::Jwt(_) => vec![needed],
        Authenticator::Open => vec![SecurityRequirement::default(), needed],
    });
    document
}

fn refusal(status: &str, meaning: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description(meaning)
        .content(MEDIA_TYPE, content.build());
    let header = |kind, description| {
        let header = HeaderBuilder::new().schema(Some(Object::with_type(kind)));
        header.description(Some(description)).build()
    };
    let response = match status {
        "401" => response.header("WWW-Authenticate", header(Type::String, "Always `Bearer`.")),
        "429" | "503" => response.header(
            "Retry-After",
            header(Type::Integer, "After how many seconds to try again."),
        ),
        _ => response,
    };
    response.build()
}

/// Serves the finished document, which needs no token.
pub fn serve(document: &OpenApi, authenticator: &Authenticator) -> Router {
    let json = finished(document, authenticator).to_string();
    let answer = get(move || async { ([(header::CONTENT_TYPE, "application/json")], json) });
    Router::new()
        .route(PATH, answer.clone())
        .route(&format!("{PATH}/"), answer)
}

/// Adds the parts that the library cannot express.
pub fn finished(document: &OpenApi, authenticator: &Authenticator) -> Value {
    // A document that was made from code can be written as JSON.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    for (schema, word, condition) in schemas::conditions() {
        document["components"]["schemas"][schema][word] = condition;
    }
    if matches!(authenticator, Authenticator::Open) {
        // Callers are anonymous in open mode, so the request has to name the user.
        let message = &mut document["components"]["schemas"]["NewMessage"];
        message["required"] = json!(["text", "userId"]);
        let user = message["properties"]["userId"]["oneOf"][0].take();
        message["properties"]["userId"] = user;
    }
    document
}

/// The page, which is a part of the program: nothing is fetched from elsewhere.
pub fn page() -> Router {
    let config = Config::from(format!("{ROOT}{PATH}"))
        // The library would show the document to a validator on the internet.
        .validator_url("none")
        .try_it_out_enabled(true)
        .persist_authorization(false);
    SwaggerUi::new(PAGE).config(config).into()
}
