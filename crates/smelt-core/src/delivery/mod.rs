//! Delivery: a result is pushed to a forge, and a pull request tells what it is.
//!
//! It begins where the run's git ends: with commits that have passed the quarantine and are kept under
//! the run's own refs. Whatever fails here loses nothing, and can be done again later.

mod branch;
mod carry_out;
mod changes;
mod error;
mod markdown;
mod marker;
mod order;
mod patience;
mod pull;
mod report;
mod summary;
mod template;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use carry_out::check_writable;
pub use carry_out::{Delivered, Delivery};
pub use changes::{Change, Changes, Commit, FileChange, FileKind};
pub use error::DeliveryError;
pub use order::{DeliveryOrder, OrderError, Task};
pub use report::Report;
pub use summary::summary;
pub use template::{TemplateError, check as check_template};
pub use watch::{Sight, watch};
