//! The cache is for all runs of a user: a run holds it, and who clears it needs it alone.

use crate::error::{CliError, Result};
use crate::exit::Exit;
use crate::report::print;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often a run looks whether the cache has been cleared.
const LOOK: Duration = Duration::from_millis(50);

/// The cache, held for as long as this lives.
pub struct CacheHold {
    _file: File,
}

/// Holds the cache at `path` for a run, together with other runs; waits for who clears it.
pub async fn hold(path: &Path) -> Result<CacheHold> {
    let file = lock_file(path).map_err(|error| unusable(path, &error))?;
    let mut told = false;
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(CacheHold { _file: file }),
            Err(TryLockError::Error(error)) => return Err(unusable(path, &error)),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    print::note(&format!("waiting: `{}` is being cleared", path.display()));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Holds the cache at `path` alone; `None` where a run holds it.
pub fn hold_alone(path: &Path) -> io::Result<Option<CacheHold>> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(CacheHold { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path)?;
    File::options().create(true).truncate(false).write(true).open(path.join("in-use.lock"))
}

fn unusable(path: &Path, error: &io::Error) -> CliError {
    let message = format!("the cache folder `{}` can't be used: {error}", path.display());
    CliError::told(Exit::Failed, message)
        .hint("make it writable, or set XDG_CACHE_HOME to another folder")
}
