//! Docker.
#![allow(dead_code, unused_imports)]

mod endpoint;
mod login;
