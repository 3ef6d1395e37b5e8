//! The dialect's JSON, key by key: what is asked in `requests` and `envelope`, what is answered
//! in `answers` and `beginning`, what one connection is told and when in `visitor` and `held`, a
//! whole conversation in `transcript`, where a `stage` plays the service.
//! Does not know sockets and stores.

mod beginning;
mod envelope;
mod held;
mod requests;
mod responses;
mod scene;
mod session;
mod stage;
mod transcript;
