//! The way to an engine: which one is meant, and whether it answers.

mod address;
mod checks;
mod config;
mod connect;
mod error;
mod ssh;

pub(super) use address::Endpoint;
pub(super) use checks::readiness;
pub use config::EngineConfig;
pub(super) use config::{hex, read};
pub(super) use connect::Connection;
pub(super) use error::EndpointError;
