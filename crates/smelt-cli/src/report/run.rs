//! How a run is shown while it goes on.

use super::line::of_event;
use super::live::Live;
use super::print;
use crate::args::OutputMode;
use smelt_core::event::Event;
use std::io::{self, IsTerminal};

/// A reader of a run's events that shows them.
pub enum RunReporter {
    /// On a terminal.
    Live(Box<Live>),
    /// Every line.
    Full,
    /// As JSON lines.
    Json,
    /// Not at all.
    Final,
}

impl RunReporter {
    /// The reporter that was asked for, or that fits where it reports to.
    pub fn new(mode: Option<OutputMode>, json: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let default = if terminal { OutputMode::Live } else { OutputMode::Full };
        match mode.unwrap_or(default) {
            _ if json => Self::Json,
            OutputMode::Live if terminal => Self::Live(Box::new(Live::new())),
            OutputMode::Live | OutputMode::Full => Self::Full,
            OutputMode::Final => Self::Final,
        }
    }

    /// Shows `event`.
    pub fn show(&mut self, event: &Event) -> io::Result<()> {
        match self {
            Self::Live(live) => live.show(&event.what),
            Self::Full => print::plain_note(of_event(&event.what)),
            Self::Json => print::json_line(event)?,
            Self::Final => {}
        }
        Ok(())
    }

    /// Ends the show; whether a summary is still to come.
    pub fn end(self) -> bool {
        match self {
            Self::Live(live) => live.end(),
            Self::Json => return false,
            Self::Full | Self::Final => {}
        }
        true
    }
}
