//! Everything that makes no sandbox.

mod commands;
mod docs;
mod dry_run;
mod examples;
mod manifests;
