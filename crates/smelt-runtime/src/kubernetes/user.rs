//! Who the agent is in a pod: numbers, since nobody looks into the image before it runs.

use super::error::unsupported;
use smelt_core::manifest::Environment;
use smelt_core::port::SandboxError;

/// Whom a pod runs as where nobody says it and root runs Smelt: a pod's user is never root.
const NOBODY_S: User = User { uid: 1000, gid: 1000 };

/// The user that everything in a pod runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: i64,
    pub(super) gid: i64,
}

impl User {
    /// Whom `environment` asks for: by default whoever runs Smelt.
    pub(super) fn of(environment: &Environment) -> Result<Self, SandboxError> {
        let Some(wanted) = environment.user.as_deref() else {
            let uid = rustix::process::getuid().as_raw().into();
            let gid = rustix::process::getgid().as_raw().into();
            return Ok(if uid == 0 { NOBODY_S } else { Self { uid, gid } });
        };
        let (uid, gid) = wanted.split_once(':').unwrap_or((wanted, wanted));
        let numbers = uid.parse::<u32>().ok().zip(gid.parse::<u32>().ok());
        match numbers {
            Some((uid, gid)) if uid != 0 => Ok(Self { uid: uid.into(), gid: gid.into() }),
            None if wanted.split(':').next() != Some("root") => Err(unsupported(format!(
                "a user by its name (`{wanted}`): say `environment.user` as a number, such as \
                 \"1000\" or \"1000:1000\""
            ))),
            _ => Err(unsupported(
                "root in a pod: install what is needed in the image, and leave `environment.user` \
                 out or say a number, such as \"1000\"",
            )),
        }
    }

    /// As people write it.
    pub(super) fn spec(self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }
}
