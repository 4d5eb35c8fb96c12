//! Where things are in a `.smelt` folder.

use super::file::{self, StateError};
use super::lock::{Holder, JobLock, LockError};
use super::run::RunState;
use crate::delivery::DeliveryOrder;
use crate::event::OutputSource;
use crate::id::{OwnerId, RunId};
use crate::name::JobName;
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A `.smelt` folder.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    const NAME: &str = ".smelt";

    /// The nearest one from `start` upwards, as git looks for its own.
    ///
    /// # Errors
    /// Where that one belongs to another user.
    pub fn find(start: &Path) -> Result<Option<Self>, StateError> {
        let start = std::path::absolute(start).map_err(StateError::io(start))?;
        let found = start.ancestors().map(|a| a.join(Self::NAME)).find(|path| path.is_dir());
        found.map(Self::of_user).transpose()
    }

    /// What is in `path`, unless somebody else could change it.
    fn of_user(path: PathBuf) -> Result<Self, StateError> {
        let owner = fs::metadata(&path).map_err(StateError::io(&path))?.uid();
        match owner == rustix::process::geteuid().as_raw() {
            true => Ok(Self { path }),
            false => Err(StateError::OtherOwner { path }),
        }
    }

    /// The nearest one from `start` upwards; else a new one in `start`.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn find_or_create(start: &Path) -> Result<Self, StateError> {
        if let Some(found) = Self::find(start)? {
            return Ok(found);
        }
        let path = start.join(Self::NAME);
        let path = std::path::absolute(&path).map_err(StateError::io(&path))?;
        fs::create_dir_all(&path).map_err(StateError::io(&path))?;
        // Nothing in here is for the repository around it.
        let ignore = path.join(".gitignore");
        fs::write(&ignore, "*\n").map_err(StateError::io(&ignore))?;
        Self::of_user(path)
    }

    /// Its own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id by which sandboxes are labelled as this folder's.
    ///
    /// # Errors
    /// Where it can't be read or made.
    pub fn owner(&self) -> Result<OwnerId, StateError> {
        let path = self.path.join("owner");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| StateError::Torn { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let owner = OwnerId::random();
                // Of two that start at once the first one's stays.
                let temporary = self.path.join(format!("owner.{owner}"));
                fs::write(&temporary, owner.as_str()).map_err(StateError::io(&temporary))?;
                let linked = fs::hard_link(&temporary, &path);
                fs::remove_file(&temporary).map_err(StateError::io(&temporary))?;
                match linked {
                    Ok(()) => Ok(owner),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.owner(),
                    Err(error) => Err(StateError::io(&path)(error)),
                }
            }
            Err(error) => Err(StateError::io(&path)(error)),
        }
    }

    /// The folder of a job's runs.
    pub fn job(&self, name: &JobName) -> JobFolder {
        JobFolder { path: self.path.join("runs").join(name.as_str()), name: name.clone() }
    }

    /// All jobs that have run, by name.
    pub fn jobs(&self) -> Vec<JobFolder> {
        let runs = self.path.join("runs");
        // A link would lead to folders that are not Smelt's.
        let names = if runs.is_symlink() { Vec::new() } else { names_in(&runs) };
        names.iter().filter_map(|name| name.parse().ok()).map(|name| self.job(&name)).collect()
    }

    /// The pull requests of the local forge.
    pub fn pulls(&self) -> PathBuf {
        self.path.join("pulls")
    }

    /// The flat state file of Smelt's predecessor.
    pub fn legacy_state(&self) -> PathBuf {
        self.path.join("run-state.toml")
    }
}

/// The runs of one job.
#[derive(Clone, Debug)]
pub struct JobFolder {
    path: PathBuf,
    name: JobName,
}

impl JobFolder {
    /// The job.
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// Its own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its runs, oldest first.
    pub fn runs(&self) -> Vec<RunFolder> {
        names_in(&self.path)
            .iter()
            .filter_map(|name| name.parse().ok())
            .map(|id| self.run(&id))
            .collect()
    }

    /// One of its runs.
    pub fn run(&self, id: &RunId) -> RunFolder {
        RunFolder { path: self.path.join(id.as_str()), newest: self.newest_state(), id: id.clone() }
    }

    /// An id for a run that starts at `now`. It sorts after those there are, also after that of a
    /// run of the same second: the newest is the last one.
    pub fn next_run(&self, now: Timestamp) -> RunId {
        let newest = self.runs().pop();
        let is_after = |run: &RunId| {
            let same_second = |newest: &&RunFolder| newest.id.second() == run.second();
            newest.as_ref().filter(same_second).is_none_or(|newest| newest.id < *run)
        };
        let mut tries = std::iter::repeat_with(|| RunId::new(now)).take(1000);
        tries.find(is_after).unwrap_or_else(|| RunId::new(now + SignedDuration::from_secs(1)))
    }

    /// The state of its newest run.
    pub fn newest_state(&self) -> PathBuf {
        self.path.join("state.toml")
    }

    /// Takes the job for `run`: a job runs once at a time.
    ///
    /// # Errors
    /// [`LockError::Held`] names who has it.
    pub async fn lock(&self, run: &RunId) -> Result<JobLock, LockError> {
        JobLock::take(&self.lock_file(), Some(run)).await
    }

    /// Takes the job to change what is kept of it, for a moment: no run starts meanwhile.
    ///
    /// # Errors
    /// [`LockError::Held`] where it is running.
    pub async fn lock_to_tidy_up(&self) -> Result<JobLock, LockError> {
        JobLock::take(&self.lock_file(), None).await
    }

    /// Who has the job now.
    pub fn holder(&self) -> Option<Holder> {
        JobLock::holder(&self.lock_file())
    }

    /// Whether `run` is being carried out by a living process.
    pub fn is_running(&self, run: &RunId) -> bool {
        self.holder().is_some_and(|holder| holder.carries_out(run))
    }

    /// Removes what is kept of the job, once no run is left. `_lock` is the job's: who waits for
    /// it takes another one.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn remove_if_empty(&self, _lock: &JobLock) -> io::Result<()> {
        if !self.runs().is_empty() {
            return Ok(());
        }
        let newest = self.newest_state();
        for file in [file::temporary(&newest), newest, self.lock_file()] {
            unless(io::ErrorKind::NotFound, fs::remove_file(file))?;
        }
        // What somebody else has put there, such as the lock of the next run, stays.
        unless(io::ErrorKind::DirectoryNotEmpty, fs::remove_dir(&self.path))
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }
}

fn unless(kind: io::ErrorKind, done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == kind { Ok(()) } else { Err(error) })
}

/// One run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    newest: PathBuf,
    id: RunId,
}

impl RunFolder {
    /// The run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every event of the run.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The result of a run whose repository is a URL.
    pub fn bundle(&self) -> PathBuf {
        self.path.join("result.bundle")
    }

    /// How the run's result is to be delivered; `None` where it has no forge.
    ///
    /// # Errors
    /// Where the file can't be read, or is of a newer Smelt.
    pub fn order(&self) -> Result<Option<DeliveryOrder>, StateError> {
        let path = self.order_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io(&path)(error)),
        };
        match DeliveryOrder::from_text(&text) {
            Ok(order) => Ok(Some(order)),
            Err(error) => Err(StateError::Malformed { path, message: error.to_string() }),
        }
    }

    /// Keeps how the run's result is to be delivered.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn keep_order(&self, order: &DeliveryOrder) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        file::replace(&self.order_file(), &order.to_text()?)
    }

    fn order_file(&self) -> PathBuf {
        self.path.join("delivery.json")
    }

    /// The output of a session's agent or gate, or of a service; of what is nobody's own, such as the
    /// setup commands, where there is no name.
    pub fn log(&self, name: Option<&str>, source: OutputSource) -> PathBuf {
        let source = source.as_str();
        self.path.join("logs").join(match name {
            Some(name) => format!("{name}.{source}.log"),
            None => format!("{source}.log"),
        })
    }

    /// What is known of the run.
    ///
    /// # Errors
    /// Where its state file is missing, torn or newer than this Smelt.
    pub fn state(&self) -> Result<RunState, StateError> {
        file::read(&self.path.join("state.toml"))
    }

    /// Writes down what is known of the run that goes on, here and as the job's newest.
    ///
    /// # Errors
    /// Where one of the files can't be written.
    pub fn save(&self, state: &RunState) -> io::Result<()> {
        let text = file::encode(state).map_err(io::Error::other)?;
        file::replace(&self.path.join("state.toml"), &text)?;
        file::replace(&self.newest, &text)
    }

    /// Writes down what was found out of an earlier run: as the job's newest only where it still is.
    ///
    /// # Errors
    /// Where one of the files can't be written.
    pub fn amend(&self, state: &RunState) -> io::Result<()> {
        if file::read(&self.newest).is_ok_and(|newest| newest.run_id == self.id) {
            return self.save(state);
        }
        let text = file::encode(state).map_err(io::Error::other)?;
        file::replace(&self.path.join("state.toml"), &text)
    }

    /// Removes everything that is kept of the run.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<_> =
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_upwards_is_used() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        assert!(StateFolder::find(&deep).unwrap().is_none());
        let made = StateFolder::find_or_create(&root.path().join("a")).unwrap();
        assert_eq!(fs::read_to_string(made.path().join(".gitignore")).unwrap(), "*\n");
        let found = StateFolder::find_or_create(&deep).unwrap();
        assert_eq!(found.path(), made.path());
        assert_eq!(found.owner().unwrap(), made.owner().unwrap());
    }

    /// A run of the job `demo`, written down.
    fn saved(folder: &StateFolder, id: &str) -> (RunFolder, RunState) {
        let mut state = RunState::sample();
        state.run_id = id.parse().unwrap();
        let run = folder.job(&state.job).run(&state.run_id);
        fs::create_dir_all(run.path()).unwrap();
        run.save(&state).unwrap();
        (run, state)
    }

    #[test]
    fn an_earlier_run_does_not_become_the_newest_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::find_or_create(root.path()).unwrap();
        let (early, mut state) = saved(&folder, "20261123t141502-aaaaaa");
        let (late, _) = saved(&folder, "20261123t141503-bbbbbb");
        let job = folder.job(&state.job);
        state.commits = 7;
        early.amend(&state).unwrap();
        assert_eq!(early.state().unwrap(), state);
        assert_eq!(file::read(&job.newest_state()).unwrap().run_id, *late.id());
        let mut state = late.state().unwrap();
        state.commits = 8;
        late.amend(&state).unwrap();
        assert_eq!(file::read(&job.newest_state()).unwrap(), state);
    }

    #[test]
    fn a_run_of_the_same_second_is_newer_still() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::find_or_create(root.path()).unwrap();
        let (run, state) = saved(&folder, "20261123t141502-yzzzzz");
        let job = folder.job(&state.job);
        let at = |time: &str| job.next_run(time.parse().unwrap());
        assert!(at("2026-11-23T14:15:02Z") > *run.id());
        saved(&folder, "20261123t141502-zzzzzz");
        assert_eq!(at("2026-11-23T14:15:02Z").second(), "20261123t141503");
        assert_eq!(at("2026-11-23T14:15:09Z").second(), "20261123t141509");
        assert_eq!(at("2026-11-22T14:15:02Z").second(), "20261122t141502", "a clock that was set");
    }

    #[tokio::test]
    async fn a_job_goes_with_its_last_run_and_can_be_taken_again_at_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::find_or_create(root.path()).unwrap();
        let (run, state) = saved(&folder, "20261123t141502-aaaaaa");
        let job = folder.job(&state.job);
        let lock = job.lock_to_tidy_up().await.unwrap();
        job.remove_if_empty(&lock).unwrap();
        assert!(job.newest_state().exists(), "a run is left");
        run.remove().unwrap();
        // The next run waits at the lock that is removed.
        let (next, ()) = tokio::join!(job.lock(run.id()), async {
            tokio::task::yield_now().await;
            job.remove_if_empty(&lock).unwrap();
            assert!(!job.path().exists());
            drop(lock);
        });
        let _next = next.unwrap();
        assert!(job.is_running(run.id()));
    }
}
