//! The scripted cluster, held to what a real client makes of it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod client;
mod exec;
mod pods;
mod refusals;
mod watches;
