//! What makes sandboxes, behind smelt-core's `Runtime` port: `local`, a jail of processes on this
//! machine.

pub mod docker;
#[cfg(target_os = "linux")]
pub mod local;
