//! Everything that makes no sandbox.

mod commands;
mod dry_run;
mod examples;
mod manifests;
