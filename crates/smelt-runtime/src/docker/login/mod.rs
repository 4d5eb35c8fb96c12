//! Logins to registries: those that `docker login` has kept, in Docker's `config.json` or with a
//! credential helper.
//!
//! The docker_credential crate reads the same file, but waits for helpers without an end, and repeats in its
//! errors what they print. (docker/cli: `cli/config/configfile` and `cli/config/credentials`.)

mod error;
mod file;
mod helper;
mod logins;

pub(super) use logins::Logins;
