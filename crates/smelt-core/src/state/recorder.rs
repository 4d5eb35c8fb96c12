//! The reader that writes everything down.

use super::folder::RunFolder;
use super::follow::{EventLog, Wake};
use super::run::RunState;
use crate::event::{Event, EventStream, JobEvent, OutputSource};
use crate::name::SessionName;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Events that are written in one go, at most.
const BATCH: usize = 512;

/// Bytes that are written in one go, about.
const BUFFER: usize = 64 << 10;

/// Writes a run's events, logs and state as they come.
///
/// When the disk fails it goes on reading, so that the run goes on too, and says so at the end.
#[derive(Debug)]
pub struct Recorder {
    folder: RunFolder,
    wake: Wake,
    state: Option<RunState>,
    save: Save,
    events: BufWriter<File>,
    /// The event that is being written.
    line: Vec<u8>,
    logs: HashMap<(Option<String>, OutputSource), BufWriter<File>>,
    problem: Option<io::Error>,
}

/// How the state is written down: as that of the job's newest run, or of one that may be older.
type Save = fn(&RunFolder, &RunState) -> io::Result<()>;

/// What a recorder knows when the stream has ended.
#[derive(Debug)]
pub struct Recorded {
    /// The run's last state; `None` where it never started.
    pub state: Option<RunState>,
    /// Why something could not be written down.
    pub problem: Option<io::Error>,
}

impl Recorder {
    /// A recorder for a new run in `folder`; `wake` is called whenever there is more to read.
    ///
    /// # Errors
    /// Where the run's folder or its event log can't be made.
    pub fn create(folder: RunFolder, wake: Wake) -> io::Result<Self> {
        std::fs::create_dir_all(folder.path().join("logs"))?;
        let events = BufWriter::with_capacity(BUFFER, File::create_new(folder.events())?);
        let (line, logs, save) = (Vec::new(), HashMap::new(), RunFolder::save as Save);
        Ok(Self { folder, wake, state: None, save, events, line, logs, problem: None })
    }

    /// A recorder for a run that has ended, and of which more is to be told: it goes on behind what
    /// was written. Returned with it is how many events that was.
    ///
    /// # Errors
    /// Where the run's event log can't be read or written.
    pub fn resume(folder: RunFolder, wake: Wake, state: RunState) -> io::Result<(Self, u64)> {
        let mut log = EventLog::open(&folder.events())?;
        let mut last = 0;
        while let Some(event) = log.next_event()? {
            last = event.seq;
        }
        let events = File::options().append(true).open(folder.events())?;
        let mut events = BufWriter::with_capacity(BUFFER, events);
        if log.is_torn() {
            events.write_all(b"\n")?;
        }
        let (line, logs, save) = (Vec::new(), HashMap::new(), RunFolder::amend as Save);
        let state = Some(state);
        Ok((Self { folder, wake, state, save, events, line, logs, problem: None }, last))
    }

    /// Reads `stream` to its end. Blocks: give it a thread of its own.
    pub fn record(mut self, mut stream: EventStream) -> Recorded {
        while let Some(first) = stream.blocking_recv() {
            let mut changed = false;
            let mut next = Some(first);
            for _ in 0..BATCH {
                let Some(event) = next else { break };
                changed |= self.take(&event);
                next = stream.try_recv();
            }
            if let Some(event) = next {
                changed |= self.take(&event);
            }
            self.write_down(changed);
        }
        Recorded { state: self.state, problem: self.problem }
    }

    /// Whether the state has changed.
    fn take(&mut self, event: &Event) -> bool {
        let written = self.write_event(event);
        self.note(written);
        match &mut self.state {
            Some(state) => state.apply(event),
            None => {
                self.state = RunState::begin(event, std::process::id());
                self.state.is_some()
            }
        }
    }

    fn write_event(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        self.events.write_all(&self.line)?;
        if let JobEvent::Output { session, service, source, text, .. } = &event.what {
            let name = session.as_ref().map(SessionName::as_str).or(service.as_deref());
            let log = match self.logs.entry((name.map(str::to_owned), *source)) {
                std::collections::hash_map::Entry::Occupied(log) => log.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(open_log(&self.folder.log(name, *source))?)
                }
            };
            log.write_all(text.as_bytes())?;
            log.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The state goes first, so that whoever follows the events finds it up to date.
    fn write_down(&mut self, changed: bool) {
        if let Some(state) = self.state.as_ref().filter(|_| changed) {
            let saved = (self.save)(&self.folder, state);
            self.note(saved);
        }
        let flushed = self.logs.values_mut().try_for_each(Write::flush);
        self.note(flushed);
        let flushed = self.events.flush();
        self.note(flushed);
        self.wake.call();
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            tracing::warn!(%error, run = %self.folder.id(), "the run can't be written down");
            self.problem.get_or_insert(error);
        }
    }
}

fn open_log(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::options().create(true).append(true).open(path)?))
}
