use super::run::RunState;
use crate::event::{Event, EventSink};
use std::sync::{Arc, Mutex, PoisonError};

/// What a run's events add up to so far, for whoever carries the run out.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Option<RunState>>>);

impl Record {
    /// That of a run which `state` is known of.
    pub fn of(state: RunState) -> Self {
        Self(Arc::new(Mutex::new(Some(state))))
    }

    /// The same sink, whose events are taken into account here too.
    pub fn listen(&self, events: &EventSink) -> EventSink {
        let record = self.clone();
        events.tap(move |event| record.take(event))
    }

    /// What is known; `None` before the run has started.
    pub fn state(&self) -> Option<RunState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            Some(state) => drop(state.apply(event)),
            None => *state = RunState::begin(event, std::process::id()),
        }
    }
}
