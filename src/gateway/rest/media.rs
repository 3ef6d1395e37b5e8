//! The default avatar.
//! Does not serve other files: the host application stores the avatars.

use axum::http::{HeaderName, header};

/// Its path: the default of `User::avatar`.
pub const DEFAULT_AVATAR: &str = "/media/default/default.jpg";

/// A neutral head and shoulders, made for this project.
const PICTURE: &[u8] = include_bytes!("default.jpg");

/// The picture, which never changes within a version.
pub async fn default_avatar() -> ([(HeaderName, &'static str); 2], &'static [u8]) {
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, PICTURE)
}
