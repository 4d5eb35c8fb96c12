//! Images that a manifest has built: once for each content of their context.

mod context;
mod error;
mod ignore;
mod run;
mod walk;

pub(super) use run::{Build, get, tag};
