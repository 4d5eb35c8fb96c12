//! Git on the host: the clone that goes into a sandbox and the commits that come out of it.
//!
//! Nothing that ran in a sandbox is ever a repository in which the host runs git. What comes back
//! is a bundle, indexed strictly into a quarantine whose configuration is ours.

mod bundle;
mod command;
mod layout;
mod mirror;
mod oid;
mod publish;
mod push;
mod quarantine;
pub mod refs;
mod repository;
mod running;
mod target;
mod workspace;

pub use bundle::{BundleError, BundleHeader};
pub use command::{Git, GitError, Invocation};
pub use mirror::{MirrorError, RemoteBase, mirror, mirror_path, remote_base};
pub use oid::{ObjectFormat, Oid};
pub use publish::{Publication, WriteError, publish, write_branch, write_bundle};
pub use push::{PushError, push, pushed_tip};
pub use quarantine::{Limits, Quarantine, QuarantineError, Stat};
pub use repository::{Base, Repository, RepositoryError, SpecialContent};
pub use target::{Expected, TargetRefusal, check_target, choose_target};
pub use workspace::{Identity, Objects, WorkspacePlan, create as create_workspace};
