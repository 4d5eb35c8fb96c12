//! Everything that `smelt` prints: results on standard output, progress and complaints on standard
//! error.

pub mod complaint;
pub mod junit;
pub mod line;
pub mod live;
pub mod plan;
pub mod print;
pub mod pull;
pub mod run;
pub mod step_summary;
pub mod summary;
pub mod words;
