//! Plain HTTP: what this server is and how it does.
//! It refuses to know anything about chats.

mod health;
mod media;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::service::Service;

/// The routes `/`, `/livez`, `/readyz`, `/healthz`, and the default avatar.
pub fn router(service: Arc<Service>) -> Router {
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
