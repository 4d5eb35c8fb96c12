//! The `kubernetes` runtime: a pod of a cluster for each run.

mod attach;
mod blueprint;
mod check;
mod config;
mod ending;
mod error;
mod events;
mod exec;
mod header;
mod labels;
mod places;
mod pod;
mod policy;
mod provision;
mod reap;
mod runtime;
mod sandbox;
mod shell;
mod start;
mod state;
mod user;

pub use check::ROLE;
pub use config::KubernetesConfig;
pub use runtime::KubernetesRuntime;
