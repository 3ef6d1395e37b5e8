//! The dialect's JSON, field by field: the requests in `requests`, `history` and `oddities`, the
//! responses in `responses`, the notices in `pushes`, a whole conversation in `transcript`.

mod history;
mod oddities;
mod pushes;
mod requests;
mod responses;
mod scene;
mod transcript;
