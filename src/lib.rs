//! polychat: one chat server that unmodified clients of four existing protocols can be pointed
//! at. What is acknowledged is never lost; every connected member sees every message once, in
//! order; a client that cannot keep up is told so.
//!
//! # One screen
//!
//! ```text
//!                                clients
//!  ───────────────────────────────────────────────────────────────────
//!  gateway   socketio │ rest                                speaks to clients
//!      │ Command          ▲ Reply               ▲ Notice
//!      ▼                  │                     │
//!  service   execute(identity, Command)        hub           decides │ delivers here
//!      │                                        ▲ in order
//!      │ store first, then publish             relay         fills holes from the store
//!      ▼                                        ▲ Notice
//!  store     sqlite                    bus   local           remembers │ tells every node
//!  ───────────────────────────────────────────────────────────────────
//!  model     the language: nouns, Command, Reply, Notice, Error     knows nobody
//! ```
//!
//! # Who may know whom
//!
//! | module | may know |
//! |---|---|
//! | [`model`] | nothing of ours |
//! | `store`, `bus`, [`auth`] | `model` |
//! | `service` | `model`, the traits of `store` and `bus` |
//! | `hub` | `model`, the trait `gateway::dialect::Dialect` |
//! | `relay` | `model`, `hub`, the traits of `store` and `bus` |
//! | `gateway` | `model`, `service`, `hub`, `auth`; never `store`, never `bus` |
//! | [`server`] | everything: it wires |
//!
//! The test `layers` holds everybody to it.
//!
//! # The walk of a message
//!
//! 1. `gateway/socketio/chat.rs` gets an event and queues it with the others of its socket.
//! 2. `conversation.rs` takes it out in its turn; `wire/requests.rs` makes it a `Command`.
//! 3. `gateway/connection.rs` adds who is asking and knocks at the door, `Service::begin`.
//! 4. `service/messages.rs` checks it, asks `access.rs`, takes a place in the queue.
//! 5. `service/append.rs` writes everything that queued up meanwhile with one
//!    `store.append(batch)`: numbered, deduplicated, durable.
//! 6. It publishes each message on the bus, then answers its sender.
//! 7. `relay.rs` hands what the bus brings to `hub`, which takes the next number of each chat
//!    only, and marks a hole for the relay to fill from the store.
//! 8. `hub` encodes the message once per dialect and puts it into the outbox of every seat.
//! 9. `pump.rs` feeds the socket while the client reads. One that does not is cut off; it
//!    reconnects and asks for what it missed.
//!
//! # Invariants
//!
//! 1. The store is the truth, the bus is a hint. Numbers are contiguous per chat.
//! 2. Nothing is acknowledged or announced before it is durable.
//! 3. A connection sees each message of a chat once, in order.
//! 4. The same `client_id` never makes two messages.
//! 5. There is one way to a local client: relay → hub → outbox.
//! 6. No queue is unbounded; no client can slow another; nobody is skipped in silence.
//! 7. No gateway knows the store; no store knows rights; all rights stand in `access.rs`.
//! 8. Every task belongs to a tracker; shutdown is: not ready, no newcomers, drain, close.

pub mod auth;
mod bus;
pub mod config;
mod gateway;
mod hub;
pub mod model;
mod relay;
pub mod server;
mod service;
mod store;
pub mod telemetry;

#[cfg(test)]
mod layers;
