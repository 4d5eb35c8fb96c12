//! The job manifest: read, checked, and given to the engine as plain typed values.

mod document;
mod graph;
mod model;
mod read;
mod repo;
mod resolve;
mod services;
mod values;

pub use model::*;
pub use read::{MANIFEST_MAX_BYTES, schema};
pub(crate) use repo::is_loopback;
pub use repo::{GitUrl, RepoLocation};
pub use services::{
    AGENT_SERVICE, Healthcheck, Service, ServiceCommand, ServiceCondition, ServiceDependencies,
    ServiceDependency,
};
pub use values::{Cpu, PlainValue, RepoSlug, SandboxPath, Seconds, Size};
