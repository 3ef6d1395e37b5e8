//! The form of answers that are more than a body.
//! Does not know their content.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ROOT;

/// A created resource, and its address.
pub struct Created<T> {
    /// The address, below the root of this API.
    pub location: String,
    /// The value.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let location = format!("{ROOT}/{}", self.location);
        let headers = [(header::LOCATION, location)];
        (StatusCode::CREATED, headers, Json(self.body)).into_response()
    }
}
