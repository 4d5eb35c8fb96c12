//! A job runs once at a time: the lock that says so, and who holds it.

use crate::id::RunId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a lock is tried again that nobody holds for a run.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// How long it is tried: looking takes microseconds, tidying up hardly ever longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process; none in the instant before it has said so.
    pub pid: Option<u32>,
    /// The run it carries out; none where it only tidies up.
    pub run_id: Option<RunId>,
    /// Where that process is: its id means something only there.
    #[serde(default)]
    pub place: Option<String>,
}

impl Holder {
    fn this_process(run: Option<&RunId>) -> Self {
        Self { pid: Some(std::process::id()), run_id: run.cloned(), place: place() }
    }

    /// Whether its process id names the same process here: not where it is of another container or
    /// machine.
    pub fn is_here(&self) -> bool {
        self.place.is_none() || self.place == place()
    }

    /// Whether it carries out `run`, as far as it has said.
    pub(super) fn carries_out(&self, run: &RunId) -> bool {
        match &self.run_id {
            Some(held) => held == run,
            None => self.pid.is_none(),
        }
    }
}

/// The namespace of this process's id, on this boot of the machine; none where there is no `/proc`.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
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
    /// Takes the lock at `path` for `run`, or to tidy up. Waits for those that hold it for a moment
    /// only, and not for a run.
    pub(super) async fn take(path: &Path, run: Option<&RunId>) -> Result<Self, LockError> {
        let start = Instant::now();
        loop {
            match Self::try_take(path, run)? {
                Ok(lock) => return Ok(lock),
                Err(holder) if holder.run_id.is_some() || start.elapsed() > PATIENCE => {
                    return Err(LockError::Held(holder));
                }
                Err(_) => sleep(TRY_AGAIN).await,
            }
        }
    }

    /// Takes the lock, or tells who has it: an unknown one where it was only being looked at, or
    /// its file was removed meanwhile.
    fn try_take(path: &Path, run: Option<&RunId>) -> io::Result<Result<Self, Holder>> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Holder::default()));
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(seen_holder(&mut file)?)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&file, path)? {
            return Ok(Err(Holder::default()));
        }
        let text = toml::to_string(&Holder::this_process(run)).map_err(io::Error::other)?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        Ok(Ok(Self { file }))
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

/// Who keeps `file` from being locked. Those that only look share it; a holder does not.
fn seen_holder(file: &mut File) -> io::Result<Holder> {
    match file.try_lock_shared() {
        Ok(()) => Ok(Holder::default()),
        Err(TryLockError::WouldBlock) => Ok(read_holder(file)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `file` is what stands at `path`: a lock on a file that was removed keeps nobody out.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn run() -> RunId {
        RunId::new(jiff::Timestamp::now())
    }

    #[tokio::test]
    async fn a_second_taker_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job/lock");
        let run = run();
        assert_eq!(JobLock::holder(&path), None);
        let lock = JobLock::take(&path, Some(&run)).await.unwrap();
        let expected = Holder::this_process(Some(&run));
        for taker in [Some(&run), None] {
            match JobLock::take(&path, taker).await {
                Err(LockError::Held(holder)) => assert_eq!(holder, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(JobLock::holder(&path), Some(expected));
        drop(lock);
        assert_eq!(JobLock::holder(&path), None);
        JobLock::take(&path, Some(&run)).await.unwrap();
    }

    #[tokio::test]
    async fn looking_keeps_nobody_from_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        // What a killed run has left in it names nobody.
        let left = toml::to_string(&Holder::this_process(Some(&run()))).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let lookers = [(); 3].map(|()| {
            let (path, done) = (path.clone(), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    JobLock::holder(&path);
                }
            })
        });
        let mut failed = None;
        for _ in 0..100 {
            fs::write(&path, &left).unwrap();
            failed = failed.or(JobLock::take(&path, Some(&run())).await.err());
        }
        done.store(true, Ordering::Relaxed);
        for looker in lookers {
            looker.join().unwrap();
        }
        assert!(failed.is_none(), "{failed:?}");
    }

    #[tokio::test]
    async fn a_run_waits_for_who_only_tidies_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job/lock");
        let lock = JobLock::take(&path, None).await.unwrap();
        assert!(!JobLock::holder(&path).unwrap().carries_out(&run()));
        let id = run();
        let (taken, ()) = tokio::join!(JobLock::take(&path, Some(&id)), async {
            sleep(Duration::from_millis(50)).await;
            // The folder goes with its last run, and comes again with the next.
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
            drop(lock);
        });
        let _lock = taken.unwrap();
        assert!(JobLock::holder(&path).unwrap().carries_out(&id));
    }

    #[test]
    fn a_process_of_another_container_is_not_here() {
        let mut holder = Holder::this_process(None);
        assert!(holder.is_here());
        holder.place = Some("another".into());
        assert!(!holder.is_here());
    }
}
