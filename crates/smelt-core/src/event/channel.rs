use super::{Event, JobEvent};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of output that may wait for their reader. Beyond it the process that prints has to wait.
const OUTPUT_BUDGET: usize = 1 << 20;

/// A stream of events: the end to emit into and the end to read from.
///
/// Emitting never waits and never fails, however slow the reader is or if it is gone; only the
/// output of sandboxed processes is held back, so that memory stays bounded.
pub fn channel() -> (EventSink, EventStream) {
    channel_after(0)
}

/// The same, for a run of which `emitted` events were read before.
pub fn channel_after(emitted: u64) -> (EventSink, EventStream) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let budget = Arc::new(Semaphore::new(OUTPUT_BUDGET));
    (EventSink { sender, budget, tap: None }, EventStream { receiver, emitted })
}

struct Emitted {
    at: Timestamp,
    what: JobEvent,
    /// Given back when the event has been read.
    _share: Option<OwnedSemaphorePermit>,
}

/// Where the engine emits its events.
#[derive(Clone)]
pub struct EventSink {
    sender: mpsc::UnboundedSender<Emitted>,
    budget: Arc<Semaphore>,
    tap: Option<Tap>,
}

/// Hears what is emitted, at once.
type Tap = Arc<dyn Fn(&Event) + Send + Sync>;

impl EventSink {
    /// The same sink, of whose events `tap` hears at once; not of output. What it hears is not
    /// numbered yet.
    #[must_use]
    pub fn tap(&self, tap: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { tap: Some(Arc::new(tap)), ..self.clone() }
    }

    /// Emits `what`, at once.
    pub fn emit(&self, what: JobEvent) {
        let Some(tap) = &self.tap else { return self.send(Timestamp::now(), what, None) };
        let event = Event { seq: 0, at: Timestamp::now(), what };
        tap(&event);
        self.send(event.at, event.what, None);
    }

    /// Emits lines of output once there is room for their `bytes`.
    ///
    /// Only whoever pumps a sandboxed process's output may call it: it is what slows that process
    /// down when it prints faster than can be read.
    pub async fn emit_output(&self, what: JobEvent, bytes: usize) {
        let share = bytes.clamp(64, OUTPUT_BUDGET / 2);
        let share = u32::try_from(share).expect("at most half of OUTPUT_BUDGET, which fits");
        tokio::select! {
            permit = Arc::clone(&self.budget).acquire_many_owned(share) => {
                self.send(Timestamp::now(), what, permit.ok());
            }
            () = self.sender.closed() => {}
        }
    }

    fn send(&self, at: Timestamp, what: JobEvent, share: Option<OwnedSemaphorePermit>) {
        // Without a reader there is nobody to tell.
        let _ = self.sender.send(Emitted { at, what, _share: share });
    }
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink").finish_non_exhaustive()
    }
}

/// Where events are read, in their order.
#[derive(Debug)]
pub struct EventStream {
    receiver: mpsc::UnboundedReceiver<Emitted>,
    emitted: u64,
}

impl EventStream {
    /// The next event; `None` when the run is over and everything has been read.
    pub async fn recv(&mut self) -> Option<Event> {
        let emitted = self.receiver.recv().await?;
        Some(self.number(emitted))
    }

    /// The next event, for a thread outside of the asynchronous world.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        let emitted = self.receiver.blocking_recv()?;
        Some(self.number(emitted))
    }

    /// The next event if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let emitted = self.receiver.try_recv().ok()?;
        Some(self.number(emitted))
    }

    fn number(&mut self, emitted: Emitted) -> Event {
        self.emitted += 1;
        Event { seq: self.emitted, at: emitted.at, what: emitted.what }
    }
}

impl std::fmt::Debug for Emitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.what.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{OutputSource, OutputStream, Phase};

    fn line(text: &str) -> JobEvent {
        JobEvent::Output {
            session: None,
            service: None,
            source: OutputSource::Agent,
            stream: OutputStream::Stdout,
            text: text.to_owned(),
        }
    }

    #[tokio::test]
    async fn output_waits_for_its_reader_and_nothing_else_does() {
        let (sink, mut stream) = channel();
        let printer = sink.clone();
        let printing = tokio::spawn(async move {
            for _ in 0..10 {
                printer.emit_output(line("x"), OUTPUT_BUDGET / 2).await;
            }
        });
        tokio::task::yield_now().await;
        for _ in 0..100 {
            sink.emit(JobEvent::Phase { phase: Phase::Preparing });
        }
        assert!(!printing.is_finished(), "two lines fit, the third has to wait");
        let mut seen = 0;
        for seq in 1..=110 {
            let event = stream.recv().await.unwrap();
            assert_eq!(event.seq, seq);
            seen += u32::from(matches!(event.what, JobEvent::Output { .. }));
        }
        assert_eq!(seen, 10);
        printing.await.unwrap();
    }

    #[tokio::test]
    async fn without_a_reader_nothing_waits_or_fails() {
        let (sink, stream) = channel();
        drop(stream);
        for _ in 0..10 {
            sink.emit_output(line("x"), OUTPUT_BUDGET).await;
        }
        sink.emit(JobEvent::Phase { phase: Phase::Ended });
    }
}
