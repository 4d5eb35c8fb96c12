//! What a run's delivery needs besides the run itself: kept beside its state, so that it can be
//! delivered later as it would have been then.

use crate::manifest::{Forge, Manifest};
use crate::name::{BranchName, SessionName};
use serde::{Deserialize, Serialize};

/// Version of the file that this Smelt writes, and the newest that it reads.
const VERSION: u32 = 1;

/// How a run's result is to be delivered. It holds the names of secrets, and none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOrder {
    /// Version of the format.
    version: u32,
    /// Where to, and what the pull request is to have.
    pub forge: Forge,
    /// The result branch that the manifest asks for.
    pub asked_target: BranchName,
    /// What was asked of each session.
    pub tasks: Vec<Task>,
}

/// What was asked of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The session.
    pub session: SessionName,
    /// Its task.
    pub text: String,
}

/// Why a kept order can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A newer Smelt wrote it.
    #[error("it has version {found}, this Smelt knows up to {VERSION}")]
    Newer {
        /// Its version.
        found: u32,
    },
    /// It makes no sense.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
}

impl DeliveryOrder {
    /// That of `manifest`; none where it names no forge.
    pub fn of(manifest: &Manifest) -> Option<Self> {
        Some(Self {
            version: VERSION,
            forge: manifest.forge.clone()?,
            asked_target: manifest.merge.target.clone(),
            tasks: Self::tasks_of(manifest),
        })
    }

    /// What `manifest` asks of its sessions.
    pub fn tasks_of(manifest: &Manifest) -> Vec<Task> {
        let sessions = manifest.sessions.iter();
        sessions.map(|s| Task { session: s.name.clone(), text: s.spec.clone() }).collect()
    }

    /// The branch that the pull request goes to; none: the forge's default. `target` is the branch
    /// that the result was written to, and `base_branch` that on which the run began, if it was one.
    pub fn base(&self, target: &str, base_branch: Option<&str>) -> Option<String> {
        if let Some(base) = &self.forge.base {
            return Some(base.to_string());
        }
        // Where the branch asked for is the base itself, the pull request goes there.
        match target == self.asked_target.as_str() {
            true => base_branch.map(str::to_owned),
            false => Some(self.asked_target.to_string()),
        }
    }

    /// As a file holds it.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// From a file.
    ///
    /// # Errors
    /// Where it is of a newer version, or no such file.
    pub fn from_text(text: &str) -> Result<Self, OrderError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        match serde_json::from_str(text)? {
            Version { version } if version > VERSION => Err(OrderError::Newer { found: version }),
            Version { .. } => Ok(serde_json::from_str(text)?),
        }
    }
}
