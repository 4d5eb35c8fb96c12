//! What is kept of runs: the `.smelt` folder with its state files, events and logs.

mod file;
mod folder;
mod follow;
mod lock;
mod pull;
mod record;
mod recorder;
mod run;

pub use file::{STATE_VERSION, StateError};
pub use folder::{JobFolder, RunFolder, StateFolder};
pub use follow::{EventLog, Follower, Wake};
pub use lock::{Holder, JobLock, LockError};
pub use pull::PullRecord;
pub use record::Record;
pub use recorder::{Recorded, Recorder};
pub use run::{Notice, RunState, SessionRecord};
