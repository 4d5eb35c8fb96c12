//! Sessions: how they are scheduled, checked by their gates, and merged.

pub(crate) mod conflict;
pub(crate) mod floor;
pub(crate) mod gate;
pub(crate) mod lines;
pub(crate) mod merge;
pub(crate) mod outlet;
pub(crate) mod schedule;
