//! polychat: one chat server that unmodified clients of four existing protocols can be pointed
//! at. What is acknowledged is never lost; every connected member sees every message once, in
//! order; a client that cannot keep up is told so.
//!
//! # One screen
//!
//! ```text
//!                                clients
//!  ───────────────────────────────────────────────────────────────────
//!  gateway   socketio │ websocket + dialects │ rest         speaks to clients
//!      │ Command          ▲ Reply               ▲ Notice
//!      ▼                  │                     │
//!  service   execute(identity, Command)        hub           decides │ delivers here
//!      │                                        ▲ in order
//!      │ store first, then publish             relay         fills holes from the store
//!      ▼                                        ▲ Notice
//!  store     sqlite │ mongodb          bus   local           remembers │ tells every node
//!  ───────────────────────────────────────────────────────────────────
//!  model     the language: nouns, Command, Reply, Notice, Error     knows nobody
//! ```
//!
//! # Who may know whom
//!
//! | module | may know |
//! |---|---|
//! | [`model`] | nothing of ours |
//! | `bus`, [`auth`] | `model` |
//! | [`telemetry`] | `model`; everybody below may know it |
//! | `store` | `model` |
//! | `service` | `model`, the traits of `store` and `bus` |
//! | `hub` | `model`, the seam `gateway::dialect` |
//! | `relay` | `model`, `hub`, the traits of `store` and `bus` |
//! | `gateway` | `model`, `service`, `hub`, `auth`; never `store`, never `bus` |
//! | [`server`] | everything: it wires |
//! | `fuzz` (in tests) | everything, and everybody's `fuzz.rs` knows it |
//!
//! The test `layers` holds everybody to it.
//!
//! # The walk of a message
//!
//! Anna writes over a raw WebSocket in the action dialect, Boris listens over Socket.IO.
//!
//! 1. `gateway/websocket/conversation.rs` reads a text frame; at the upgrade the dialect was
//!    chosen from the path, and `auth` turned the token into an `Identity`. (An event of
//!    Socket.IO comes in by `gateway/socketio/chat.rs` and waits its turn in `conversation.rs`.)
//! 2. `dialect/by_action` makes it a `Command`, and brings what will make the answer.
//! 3. `gateway/connection.rs` adds who is asking and knocks at the door, `Service::begin`.
//! 4. `service/messages.rs` checks it, asks `access.rs`, takes a place in the queue.
//! 5. `service/append.rs` writes everything that queued up meanwhile with one
//!    `store.append(batch)`: numbered, deduplicated, durable.
//! 6. It publishes each message on the bus, then answers its sender; the dialect encodes that.
//! 7. `relay.rs` hands what the bus brings to `hub`, which takes the next number of each chat
//!    only, and marks a hole for the relay to fill from the store. A chat that has to wait, for that
//!    or for crowded outboxes, waits in `relay/backlog.rs` and delays no other.
//! 8. `hub` asks the listener of every seat what its client is told; what many say alike is
//!    encoded once. It goes into the seat's outbox.
//! 9. Boris's `pump.rs` feeds his socket while he reads. Did he not, he would be cut off; he
//!    reconnects and asks for what he missed.
//!
//! # Invariants
//!
//! 1. The store is the truth, the bus is a hint. Numbers are contiguous per chat.
//! 2. Nothing is acknowledged or announced before it is durable.
//! 3. A connection sees each message of a chat once, in order.
//! 4. A read position only moves forward.
//! 5. The same `client_id` never makes two messages.
//! 6. There is one way to a local client: relay → hub → outbox.
//! 7. No queue is unbounded; no client can slow another; nobody is skipped in silence.
//! 8. No gateway knows the store; no store knows rights; all rights stand in `access.rs`.
//! 9. Every task belongs to a tracker; shutdown is: not ready, no newcomers, drain, close.

pub mod auth;
mod bus;
pub mod check;
pub mod config;
pub mod copy;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod hub;
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
