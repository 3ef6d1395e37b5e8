//! The dialect's JSON, key by key: requests in `requests` and `envelope`, the `request_id` in `echoes`, the answers in
//! `responses` and `beginning`, the order of what one connection is sent in `session` and `held`, a
//! whole conversation with a real service in `transcript`.
//! Does not know sockets.

mod beginning;
mod echoes;
mod envelope;
mod held;
mod requests;
mod responses;
mod scene;
mod session;
mod transcript;
