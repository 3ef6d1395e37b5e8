//! The dialect's JSON, field by field: what is asked in `requests`, `history` and `oddities`, what
//! is answered in `responses`, who is told unasked in `pushes`, a whole conversation in
//! `transcript`.

mod history;
mod oddities;
mod pushes;
mod requests;
mod responses;
mod scene;
mod transcript;
