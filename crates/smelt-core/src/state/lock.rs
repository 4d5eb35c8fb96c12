//! A job runs once at a time: the lock that says so, and who holds it.

use crate::id::RunId;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Who carries out a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process; none in the instant before it has said so.
    pub pid: Option<u32>,
    /// The run.
    pub run_id: Option<RunId>,
}

/// Why a job could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the job is running already")]
    Held(Holder),
    /// The lock file could not be used.
    #[error("the job's lock file can't be used")]
    Io(#[from] io::Error),
}

/// A job, taken. The system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct JobLock {
    file: File,
}

impl JobLock {
    pub(super) fn take(path: &Path, run: &RunId) -> Result<Self, LockError> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let holder = Holder { pid: Some(std::process::id()), run_id: Some(run.clone()) };
        let text = toml::to_string(&holder).map_err(io::Error::other)?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        Ok(Self { file })
    }

    /// Who holds the lock at `path` now.
    pub(super) fn holder(path: &Path) -> Option<Holder> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
            _ => None,
        }
    }
}

impl Drop for JobLock {
    fn drop(&mut self) {
        // The lock itself goes with the file; its text would only mislead people.
        let _ = self.file.set_len(0);
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(1024).read_to_string(&mut text));
    read.ok().and_then(|_| toml::from_str(&text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let run = RunId::new(jiff::Timestamp::now());
        assert_eq!(JobLock::holder(&path), None);
        let lock = JobLock::take(&path, &run).unwrap();
        let expected = Holder { pid: Some(std::process::id()), run_id: Some(run.clone()) };
        match JobLock::take(&path, &run) {
            Err(LockError::Held(holder)) => assert_eq!(holder, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(JobLock::holder(&path), Some(expected));
        drop(lock);
        assert_eq!(JobLock::holder(&path), None);
        JobLock::take(&path, &run).unwrap();
    }
}
