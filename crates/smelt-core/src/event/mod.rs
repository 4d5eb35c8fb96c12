//! What happens in a run, as one ordered stream of values.
//!
//! The engine emits; the terminal, `state.toml`, the logs and whoever embeds Smelt read.

mod channel;
mod kinds;

pub use channel::{EventSink, EventStream, channel, channel_after};
pub use kinds::{
    Event, GateReport, GateStage, JobEvent, Level, OutputSource, OutputStream, Phase, PullState,
    SessionPlan, SessionState, Usage,
};

/// The JSON Schema of a line of `events.jsonl` (draft 2020-12).
pub fn schema() -> serde_json::Value {
    crate::document::schema_of::<Event>().to_value()
}
