//! The scripted forge against git itself and a plain HTTP client.

mod client;
mod contract;
mod faults;
mod git;
mod gitea;
mod github;
