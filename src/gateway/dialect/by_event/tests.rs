//! The dialect's JSON, key by key: what is asked in `requests` and `envelope`, what is answered
//! in `answers` and `beginning`, what one connection is told and when in `visitor` and `held`, a
//! whole conversation in `transcript`, where a `stage` plays the service.
//! It refuses to know sockets and stores.

mod answers;
mod beginning;
mod envelope;
mod held;
mod requests;
mod scene;
mod stage;
mod transcript;
mod visitor;
