//! What makes sandboxes, behind smelt-core's `Runtime` port: `docker`, containers of an engine here or
//! elsewhere, and `local`, a jail of processes on this machine.

mod archive;
pub mod docker;
pub use docker::compose;
#[cfg(target_os = "linux")]
pub mod local;
mod names;
