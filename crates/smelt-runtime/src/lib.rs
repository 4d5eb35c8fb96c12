//! What makes sandboxes, behind smelt-core's `Runtime` port: `docker`, containers of an engine here or
//! elsewhere, `compose`, the same with services beside them, `kubernetes`, pods of a cluster, and `local`, a
//! jail of processes on this machine.

mod archive;
pub mod docker;
pub use docker::compose;
mod ending;
pub mod kubernetes;
#[cfg(target_os = "linux")]
pub mod local;
mod names;
