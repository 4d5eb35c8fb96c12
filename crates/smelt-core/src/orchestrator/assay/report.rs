//! What Assay says of a run with `--json`, in both of its shapes.

use crate::session::lines::AgentOutput;
use serde_json::Value;

/// Longest report, in bytes.
const REPORT_MAX: usize = 4 << 20;

/// What Assay says has become of the sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report(Vec<(String, Said)>);

/// What Assay says of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Its agent has ended well. Of several sessions that is all that is meant; of a single one,
    /// that its gate passed too.
    Completed,
    /// Its gate failed.
    GateFailed,
    /// It went wrong; why.
    Failed(String),
    /// It did not run; why.
    Skipped(String),
}

impl Report {
    /// Reads a report; `None` for what is none. What is not known in it is passed over.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let sessions = value.get("sessions")?.as_array()?;
        let said = |entry: &Value| {
            let name = entry.get("name").or_else(|| entry.get("spec_name"))?.as_str()?;
            Some((name.to_owned(), Said::parse(entry)?))
        };
        Some(Self(sessions.iter().filter_map(said).collect()))
    }

    /// What it says of a session.
    pub(super) fn of(&self, session: &str) -> Option<&Said> {
        self.0.iter().find(|(name, _)| name == session).map(|(_, said)| said)
    }
}

impl Said {
    fn parse(entry: &Value) -> Option<Self> {
        let why = |key: &str, or: &str| {
            let why = entry.get(key);
            // A string for one of several sessions, a table for a single one.
            let text = why.and_then(|why| why.as_str().or_else(|| why.get("message")?.as_str()));
            text.unwrap_or(or).to_owned()
        };
        Some(match entry.get("outcome")?.as_str()? {
            // Whether work fits on the base it started from is no question of its own here.
            "Success" | "MergeConflict" | "completed" => Self::Completed,
            "GateFailed" => Self::GateFailed,
            "Error" | "failed" => Self::Failed(why("error", "no reason given")),
            "skipped" => Self::Skipped(why("skip_reason", "no reason given")),
            other => Self::Failed(format!("an outcome that Smelt does not know: {other}")),
        })
    }
}

/// Reads Assay's standard output: takes the report out, shows the rest.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What may be a report whose end has not come.
    pending: String,
    report: Option<Report>,
}

impl Reader {
    /// The report, and what looked like the start of one.
    pub(super) fn finish(self) -> (Option<Report>, Vec<String>) {
        (self.report, self.pending.lines().map(str::to_owned).collect())
    }
}

impl AgentOutput for Reader {
    fn read(&mut self, line: &str) -> Vec<String> {
        let begins = line.starts_with('{');
        if self.pending.is_empty() && !begins {
            return vec![line.to_owned()];
        }
        // Only its first line begins so: what was waiting for an end is none.
        let mut shown = if begins { self.give_up() } else { Vec::new() };
        self.pending.push_str(line);
        self.pending.push('\n');
        // In many lines or in one: nothing but the last of them closes it.
        let closes = line.starts_with('}');
        if begins || closes {
            if let Some(report) = Report::parse(&self.pending) {
                self.report = Some(report);
                self.pending.clear();
            } else if closes || serde_json::from_str::<Value>(&self.pending).is_ok() {
                shown.extend(self.give_up());
            }
        }
        if self.pending.len() > REPORT_MAX {
            shown.extend(self.give_up());
        }
        shown
    }
}

impl Reader {
    fn give_up(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pending).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What 0.5.0 prints for one session whose gate failed.
    const SINGLE: &str = r#"{
  "sessions": [
    {
      "spec_name": "one",
      "session_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
      "outcome": "GateFailed",
      "stage_timings": [
        {
          "stage": "AgentLaunch",
          "duration_secs": 1.5
        }
      ]
    }
  ],
  "summary": {
    "total": 1,
    "succeeded": 0,
    "gate_failed": 1,
    "merge_conflict": 0,
    "errored": 0
  }
}"#;

    /// What it prints for several.
    const SEVERAL: &str = r#"{
  "run_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  "sessions": [
    { "name": "a", "outcome": "completed" },
    { "name": "b", "outcome": "failed", "error": "Agent crashed with exit code 7" },
    { "name": "c", "outcome": "skipped", "skip_reason": "upstream 'b' failed" },
    { "name": "d", "outcome": "paused", "new": [1, { "x": null }] }
  ],
  "merge_report": { "sessions_merged": 1, "results": [] },
  "summary": { "total": 4 }
}"#;

    fn read(text: &str) -> (Vec<String>, Option<Report>, Vec<String>) {
        let mut reader = Reader::default();
        let shown = text.lines().flat_map(|line| reader.read(line)).collect();
        let (report, rest) = reader.finish();
        (shown, report, rest)
    }

    #[test]
    fn both_shapes_are_read_and_not_shown() {
        let (shown, single, _) = read(&format!("loading\n{SINGLE}\n"));
        let (none, several, _) = read(SEVERAL);
        assert_eq!((shown, none), (vec!["loading".to_owned()], vec![]));
        insta::assert_debug_snapshot!((single.unwrap(), several.unwrap()));
        let error = r#"{"sessions":[{"spec_name":"one","outcome":"Error","error":{"stage":"AgentLaunch","message":"no claude","recovery":"install it"}}]}"#;
        let (shown, report, _) = read(error);
        assert_eq!(shown, Vec::<String>::new());
        assert_eq!(report.unwrap().of("one"), Some(&Said::Failed("no claude".into())));
    }

    #[test]
    fn what_is_no_report_is_shown_and_a_half_one_is_kept_for_the_reason() {
        let text =
            "{\"level\":\"info\"}\n{ not json\n}\nError: merge failed\n{\n  \"sessions\": [\n";
        let (shown, report, rest) = read(text);
        assert_eq!(shown, ["{\"level\":\"info\"}", "{ not json", "}", "Error: merge failed"]);
        assert_eq!((report, rest.join("")), (None, "{  \"sessions\": [".into()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_of_what_is_no_report(lines in prop::collection::vec("[{}a\"\\[\\]:, ]{0,6}", 0..20)) {
            let (shown, report, rest) = read(&lines.join("\n"));
            let given: Vec<_> = lines.join("\n").lines().map(str::to_owned).collect();
            if report.is_none() {
                prop_assert_eq!([shown, rest].concat(), given);
            }
        }

        #[test]
        fn every_report_is_found_whatever_is_printed_around_it(
            before in prop::collection::vec("([a-z ]|[{][a-z])[a-z ]{0,10}", 0..5),
            name in "[a-z]{1,8}", unknown in any::<u32>(), pretty in any::<bool>(),
        ) {
            let value = serde_json::json!({
                "sessions": [{ "name": name, "outcome": "completed", "unknown": unknown }],
                "more": { "unknown": [unknown] },
            });
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let lines = before.iter().cloned().chain([text]).collect::<Vec<_>>();
            let (shown, report, _) = read(&lines.join("\n"));
            let report = report.unwrap();
            prop_assert_eq!(report.of(&name), Some(&Said::Completed));
            prop_assert_eq!(shown, before);
        }

        #[test]
        fn no_text_breaks_the_parser(text in any::<String>()) {
            let _ = Report::parse(&text);
            read(&text);
        }
    }
}
