//! Reading a run's events from their file, also while it is being written.

use crate::event::{Event, JobEvent};
use notify::Watcher;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a follower waits at most before it looks again: watches may be missed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Tells followers in the same process that there is more to read.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Wakes the follower up.
    pub fn call(&self) {
        self.0.notify_one();
    }
}

/// The events of a run as far as they are written.
#[derive(Debug)]
pub struct EventLog {
    file: BufReader<File>,
    line: Vec<u8>,
}

impl EventLog {
    /// Opens the event log at `path`, at its first event.
    ///
    /// # Errors
    /// Where it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(1 << 16, File::open(path)?), line: Vec::new() })
    }

    /// The next whole line, as it is written; `None` at the end of what is there.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        if self.line.last() == Some(&b'\n') {
            self.line.clear();
        }
        self.file.read_until(b'\n', &mut self.line)?;
        // A line without its end is being written: it is kept, and read on the next time.
        Ok(self.line.strip_suffix(b"\n"))
    }

    /// The next event. Lines that this Smelt does not know are passed over.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        while let Some(line) = self.next_line()? {
            match serde_json::from_slice(line) {
                Ok(event) => return Ok(Some(event)),
                Err(error) => tracing::debug!(%error, "an event that is not known here"),
            }
        }
        Ok(None)
    }

    /// Whether what was read last is a line without its end.
    pub(super) fn is_torn(&self) -> bool {
        !self.line.is_empty() && !self.line.ends_with(b"\n")
    }

    /// Skips what is there, but for about the last `bytes`.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn skip_to_last(&mut self, bytes: u64) -> io::Result<()> {
        let length = self.file.get_ref().metadata()?.len();
        if length > bytes {
            self.file.seek(io::SeekFrom::Start(length - bytes))?;
            let mut part = Vec::new();
            self.file.read_until(b'\n', &mut part)?;
        }
        Ok(())
    }
}

/// Follows the events of a run until it ends.
#[derive(Debug)]
pub struct Follower {
    log: EventLog,
    wake: Wake,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Follower {
    /// Follows a run of this process, whose recorder calls `wake`.
    ///
    /// # Errors
    /// Where the log can't be opened.
    pub fn own(path: &Path, wake: Wake) -> io::Result<Self> {
        Ok(Self { log: EventLog::open(path)?, wake, _watcher: None })
    }

    /// Follows a run of another process.
    ///
    /// # Errors
    /// Where the log can't be opened.
    pub fn foreign(path: &Path) -> io::Result<Self> {
        let wake = Wake::default();
        let log = EventLog::open(path)?;
        let waker = wake.clone();
        let watcher = notify::recommended_watcher(move |_| waker.call())
            .and_then(|mut watcher| {
                watcher.watch(path, notify::RecursiveMode::NonRecursive)?;
                Ok(watcher)
            })
            // Without watches (some file systems have none) it looks again from time to time.
            .ok();
        Ok(Self { log, wake, _watcher: watcher })
    }

    /// Skips what is there.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub fn skip(&mut self) -> io::Result<()> {
        self.log.skip_to_last(0)
    }

    /// The next event, waiting for it as long as `alive` says that more may come; `None` at the end.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn next(&mut self, alive: impl Fn() -> bool) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.log.next_event()? {
                return Ok(Some(event));
            }
            let more_may_come = alive();
            // What was written before its writer went is still there to be read.
            if let Some(event) = self.log.next_event()? {
                return Ok(Some(event));
            }
            if !more_may_come {
                return Ok(None);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, self.wake.0.notified()).await;
        }
    }
}

impl Event {
    /// Whether it is the last of its run.
    pub fn is_last(&self) -> bool {
        matches!(self.what, JobEvent::RunFinished { .. })
    }
}
