//! A run on a terminal: the phase, the sessions, the last lines of each.

use super::line::of_event;
use super::print::{self, BAD, CAREFUL, DIM, GOOD, styled};
use super::words::millis;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use smelt_core::event::{JobEvent, Level, OutputSource, SessionState};
use smelt_core::name::SessionName;
use smelt_core::text::clean_inline;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Lines of a session that are shown below its name.
const LAST_LINES: usize = 3;

/// How often the picture moves while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// A run, drawn on the terminal's last lines.
pub struct Live {
    all: MultiProgress,
    head: ProgressBar,
    sessions: BTreeMap<SessionName, Running>,
}

struct Running {
    head: ProgressBar,
    lines: Vec<ProgressBar>,
    last: VecDeque<String>,
}

impl Live {
    /// An empty picture.
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12));
        let head = all.add(spinner("{spinner:.cyan} {wide_msg} {elapsed:.dim}"));
        Self { all, head, sessions: BTreeMap::new() }
    }

    /// Draws what `event` changes.
    pub fn show(&mut self, event: &JobEvent) {
        match event {
            JobEvent::RunStarted { .. } => self.say(&of_event(event)),
            JobEvent::Phase { phase } => self.head.set_message(phase.to_string().replace('_', " ")),
            JobEvent::BaseResolved { .. } | JobEvent::SandboxReady { .. } => {
                self.say(&styled(DIM, of_event(event)));
            }
            JobEvent::Notice { level: Level::Warning, .. }
            | JobEvent::DeliveryNotice { level: Level::Warning, .. }
            | JobEvent::MergeConflict { .. } => {
                self.say(&styled(CAREFUL, of_event(event)));
            }
            JobEvent::Notice { .. }
            | JobEvent::DeliveryNotice { .. }
            | JobEvent::Merged { .. }
            | JobEvent::BranchPushed { .. }
            | JobEvent::PullRequest { .. } => {
                self.say(&of_event(event));
            }
            JobEvent::SessionStarted { session } => self.start(session),
            JobEvent::Output { session: Some(session), source, text, .. } => {
                self.lines(session, *source, text);
            }
            // Services talk all the time, and nobody waits for what they say.
            JobEvent::Output { source: OutputSource::Service, .. } => {}
            JobEvent::Output { session: None, text, .. } => {
                let last = text.rsplit('\n').next().unwrap_or(text);
                self.head.set_message(clean_inline(last).into_owned());
            }
            JobEvent::GateStarted { session, .. } => self.title(session, "gate"),
            JobEvent::GateFinished { session, gate, .. } if !gate.passed => {
                self.title(session, "gate failed");
            }
            JobEvent::SessionFinished { session, state, duration_ms, .. } => {
                self.finish(session, *state, *duration_ms);
            }
            _ => {}
        }
    }

    /// Takes the picture away; what was said stays.
    pub fn end(self) {
        let _ = self.all.clear();
    }

    fn say(&self, text: &str) {
        let _ = self.all.println(print::for_stderr(text));
    }

    fn start(&mut self, session: &SessionName) {
        let head = self.all.add(spinner("  {spinner:.cyan} {wide_msg} {elapsed:.dim}"));
        head.set_message(format!("{session}: agent"));
        self.sessions
            .insert(session.clone(), Running { head, lines: Vec::new(), last: VecDeque::new() });
    }

    fn title(&self, session: &SessionName, what: &str) {
        if let Some(running) = self.sessions.get(session) {
            running.head.set_message(format!("{session}: {what}"));
        }
    }

    fn lines(&mut self, session: &SessionName, source: OutputSource, text: &str) {
        let Some(running) = self.sessions.get_mut(session) else { return };
        let mut last: Vec<_> = text.rsplit('\n').take(LAST_LINES).collect();
        last.reverse();
        for text in last {
            if running.lines.len() < LAST_LINES {
                let after = running.lines.last().unwrap_or(&running.head);
                let line = self.all.insert_after(after, ProgressBar::new_spinner());
                line.set_style(style("      {wide_msg:.dim}"));
                running.lines.push(line);
            } else {
                running.last.pop_front();
            }
            running.last.push_back(format!("{} | {}", source.as_str(), clean_inline(text)));
        }
        for (line, text) in running.lines.iter().zip(&running.last) {
            line.set_message(text.clone());
        }
    }

    fn finish(&mut self, session: &SessionName, state: SessionState, duration_ms: u64) {
        if let Some(running) = self.sessions.remove(session) {
            running.lines.iter().chain([&running.head]).for_each(ProgressBar::finish_and_clear);
        }
        let mark = match state {
            SessionState::Passed => styled(GOOD, "✓"),
            SessionState::Skipped | SessionState::Cancelled => styled(CAREFUL, "-"),
            _ => styled(BAD, "✗"),
        };
        self.say(&format!("  {mark} {session}: {state} ({})", millis(duration_ms)));
    }
}

fn spinner(template: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style(template));
    bar.enable_steady_tick(TICK);
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
