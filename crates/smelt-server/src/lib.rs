//! Smelt for a team: a durable queue, its intakes and its API.
//!
//! So far there is the server's configuration: read, checked, and described by its schema.

pub mod config;
