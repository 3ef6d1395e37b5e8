//! polychat: one chat server that unmodified clients of four existing protocols can be pointed at.
#![doc = include_str!("../docs/ARCHITECTURE.md")]

pub mod auth;
pub mod backup;
mod bus;
pub mod check;
pub mod config;
pub mod copy;
pub mod export;
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
pub mod import;
mod lease;
mod limits;
pub mod model;
mod progress;
mod relay;
pub mod server;
mod service;
mod store;
pub mod telemetry;

#[cfg(test)]
mod catching_up_tests;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod membership_tests;
#[cfg(test)]
mod moving_in_tests;
