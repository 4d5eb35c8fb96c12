//! Delivery by the real program: to scripted forges in front of a real git server, and to files.

mod again;
mod bodies;
mod branches;
mod crash;
mod faults;
mod passing;
mod pipelines;
mod place;
mod pulls;
mod secrets;
mod watch;
