//! Commands that run in a pod, over a WebSocket.

mod outcome;
mod pipes;
mod request;
mod session;
mod terminal;

pub use request::Protocol;
pub(crate) use request::answer;
