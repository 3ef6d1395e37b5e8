//! polychat: one chat server that unmodified clients of four existing protocols can be pointed at.
//! What is acknowledged is never lost; every connected member sees every message once, in order; a
//! client that cannot keep up is disconnected with a reason.
//!
//! # One screen
//!
//! ```text
//!                                clients
//!  ───────────────────────────────────────────────────────────────────
//!  gateway   engineio, socketio │ raw │ rest, dialects      speaks to clients
//!      │ Command          ▲ Reply               ▲ Notice
//!      ▼                  │                     │
//!  service   execute(identity, Command)        hub           decides │ delivers here
//!      │                                        ▲ in order
//!      │ store first, then publish             relay         fills holes from the store
//!      ▼                                        ▲ Notice
//!  store     sqlite │ mongodb          bus   local           stores │ publishes to nodes
//!  ───────────────────────────────────────────────────────────────────
//!  model     the language: nouns, Command, Reply, Notice, Error     knows no module
//! ```
//!
//! # Which module may name which
//!
//! | module | may name |
//! |---|---|
//! | [`model`] | nothing of ours |
//! | `bus` | `model` |
//! | [`auth`] | `model` |
//! | `limits` | `model` |
//! | [`telemetry`] | `model` |
//! | `store` | `model`, `telemetry` |
//! | `hub` | `model`, `telemetry` |
//! | `service` | `model`, `telemetry`, `store`, `bus` |
//! | `relay` | `model`, `telemetry`, `store`, `bus`, `hub` |
//! | `gateway` | `model`, `telemetry`, `limits`, `auth`, `hub`, `service` |
//! | [`config`] | `limits`, `telemetry` |
//! | [`copy`] | `model`, `store` |
//! | [`check`] | `store` |
//!
//! From the lowest floor up: a module names only modules above it in this table. Of `store` and
//! `bus` others name the traits, never an implementation. [`server`] and `main` wire everything;
//! in tests `fuzz` and `fixtures` name everything, and the tests of every module may name them.
//! No two files import each other in a circle. `layers.rs` tests all of this, and that this table
//! is the tested one.
//!
//! # The walk of a message
//!
//! Anna writes over a raw WebSocket in the action dialect, Boris listens over Socket.IO.
//!
//! 1. `gateway/websocket/connection.rs` reads a frame, and `gateway/raw/session.rs` makes a request
//!    of it; at the upgrade the dialect was chosen from the path, and `auth` turned the token into
//!    an `Identity`. (An event of Socket.IO passes `gateway/engineio` and `gateway/socketio`.)
//! 2. `gateway/inbox.rs` queues requests of every transport and serves them one after the other.
//!    The session in `dialect/action` decodes this one to a `Command`, with what will encode the
//!    response.
//! 3. `gateway/connection.rs` checks the rate limit, adds the identity and calls the one door,
//!    `Service::begin`.
//! 4. `service/messages.rs` checks it and the rights in `access.rs`, and queues it.
//! 5. `service/append.rs` writes everything that queued up meanwhile with one
//!    `store.append(batch)`: numbered, deduplicated, durable.
//! 6. It publishes each message on the bus, then answers its sender; the session encodes that.
//! 7. `relay.rs` hands what the bus brings to `hub`, which takes the next seq of each chat only,
//!    and marks a gap for the relay to fill from the store. A chat that has to wait, for that or
//!    for crowded outboxes, waits in `relay/backlog.rs` and delays no other.
//! 8. `hub` has each room member's session encode the message, alike ones once, and puts the
//!    frame into the outbox of the member's connection. On Anna's own connection
//!    `hub/interleave.rs` keeps the answer of step 6 at its place among what others send.
//! 9. The writer of Boris's connection (the WebSocket, or the pending poll) takes it from there,
//!    framed once for all receivers. If he does not keep up he is disconnected; he reconnects
//!    and requests what he missed.
//!
//! # Invariants
//!
//! 1. The store is the truth, the bus is a hint. Numbers are contiguous per chat.
//! 2. Nothing is acknowledged or announced before it is durable.
//! 3. A connection sees each message of a chat once, in order, answers to its own included.
//! 4. A read position only moves forward.
//! 5. The same `client_id` never makes two messages.
//! 6. There is one way to a local client: relay → hub → outbox.
//! 7. No queue is unbounded; no client can slow another; no connection is skipped in silence.
//! 8. No gateway knows the store; no store knows rights; all rights stand in `access.rs`.
//! 9. Every task belongs to a tracker; shutdown is: not ready, no newcomers, drain, close.

pub mod auth;
mod bus;
pub mod check;
pub mod config;
pub mod copy;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "tests use more of it")
)]
mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod hub;
mod limits;
pub mod model;
mod relay;
pub mod server;
mod service;
mod store;
pub mod telemetry;

#[cfg(test)]
mod catching_up_tests;
#[cfg(test)]
mod layers;
