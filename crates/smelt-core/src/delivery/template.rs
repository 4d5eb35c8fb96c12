//! Titles and bodies of the manifest's own, with `{{ … }}` for what a run knows.
//!
//! What stands in place of it is text of others: it is made harmless where it is put in. Only
//! `default_body`, which is Markdown already, is taken as it is.

use super::markdown;
use super::report::Report;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, UndefinedBehavior, context};
use serde::Serialize;
use std::collections::HashSet;

/// Steps that a template may take.
const FUEL: u64 = 200_000;

/// Most characters of a text that is put in.
const MOST_CHARACTERS: usize = 20_000;

/// A template that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong, and in which line of the template.
    pub message: String,
}

/// What becomes of a text that is put in.
type Escape = fn(&str) -> String;

/// Checks a template without a run: it is parsed, and rendered for one that has everything.
///
/// # Errors
/// What is wrong with it.
pub fn check(template: &str) -> Result<(), TemplateError> {
    render(template, &Values::sample(), str::to_owned).map(drop)
}

/// A title by `template`.
pub(super) fn title(template: &str, report: &Report<'_>) -> Result<String, TemplateError> {
    // One line is made of all of it at the end.
    render(template, &Values::of(report, ""), markdown::defuse)
}

/// A body by `template`.
pub(super) fn body(
    template: &str,
    report: &Report<'_>,
    default_body: &str,
) -> Result<String, TemplateError> {
    render(template, &Values::of(report, default_body), markdown::inline)
}

fn render(template: &str, values: &Values, escape: Escape) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    // What others wrote stays harmless, whatever a template would make of it.
    environment.remove_filter("safe");
    environment.remove_filter("escape");
    environment.remove_filter("e");
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    environment.set_formatter(move |out, _state, value| put_in(out, value, escape));
    let render = || {
        let template = environment.template_from_str(template)?;
        let default_body = Value::from_safe_string(values.default_body.clone());
        template.render(context! { default_body, ..Value::from(Serde(values)) })
    };
    render().map_err(|error| {
        let parsed = environment.template_from_str(template).ok();
        let names = parsed.map(|parsed| parsed.undeclared_variables(true)).unwrap_or_default();
        TemplateError { message: told(&error, &unknown(names, values)) }
    })
}

/// Those of `names` that nothing stands behind.
fn unknown(names: HashSet<String>, values: &Values) -> Vec<String> {
    let known = serde_json::to_value(values).unwrap_or_default();
    let is_known = |name: &String| {
        let path = format!("/{}", name.replace('.', "/"));
        name == "default_body" || known.pointer(&path).is_some()
    };
    let mut unknown: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
    unknown.sort();
    unknown
}

fn put_in(out: &mut Output<'_>, value: &Value, escape: Escape) -> Result<(), minijinja::Error> {
    let written = match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text),
        Some(text) => {
            let text = crate::text::shorten(text, MOST_CHARACTERS);
            out.write_str(&escape(&text))
        }
        None => out.write_str(&escape(&value.to_string())),
    };
    written.map_err(minijinja::Error::from)
}

fn told(error: &minijinja::Error, unknown: &[String]) -> String {
    let line = error.line().map(|line| format!(" (line {line} of the template)"));
    let what = match (error.kind(), unknown) {
        (ErrorKind::UndefinedError, [name, ..]) => format!("there is no `{name}`"),
        (kind, _) => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    format!("{what}{}", line.unwrap_or_default())
}

/// What templates can name.
#[derive(Debug, Default, Serialize)]
struct Values {
    job: JobValues,
    run: RunValues,
    base: PlaceValues,
    result: ResultValues,
    outcome: String,
    sessions: Vec<SessionValues>,
    commits: Vec<super::changes::Commit>,
    files: Vec<super::changes::FileChange>,
    #[serde(skip)]
    default_body: String,
}

#[derive(Debug, Default, Serialize)]
struct JobValues {
    name: String,
    repo: String,
    base_ref: String,
}

#[derive(Debug, Default, Serialize)]
struct RunValues {
    id: String,
    runtime: String,
    image: String,
    isolation: String,
}

#[derive(Debug, Default, Serialize)]
struct PlaceValues {
    branch: String,
    commit: String,
}

#[derive(Debug, Default, Serialize)]
struct ResultValues {
    branch: String,
    commit: String,
    commits: u64,
    files_changed: u64,
    insertions: u64,
    deletions: u64,
}

#[derive(Debug, Default, Serialize)]
struct SessionValues {
    name: String,
    task: String,
    state: String,
    commits: u64,
    gate: GateValues,
}

#[derive(Debug, Default, Serialize)]
struct GateValues {
    command: String,
    passed: bool,
    exit_code: Option<i32>,
    duration_secs: f64,
    tail: String,
}

impl Values {
    fn of(report: &Report<'_>, default_body: &str) -> Self {
        let state = report.state;
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let sessions = state.sessions.iter().map(|session| {
            let gate = session.gate.as_ref().map(|gate| GateValues {
                command: gate.command.clone(),
                passed: gate.passed,
                exit_code: gate.exit_code,
                duration_secs: std::time::Duration::from_millis(gate.duration_ms).as_secs_f64(),
                tail: gate.tail.join("\n"),
            });
            SessionValues {
                name: session.name.to_string(),
                task: report.task(&session.name).unwrap_or_default().to_owned(),
                state: session.state.to_string(),
                commits: session.commits,
                gate: gate.unwrap_or_default(),
            }
        });
        Self {
            job: JobValues {
                name: state.job.to_string(),
                repo: state.repo.clone(),
                base_ref: state.base_ref.clone(),
            },
            run: RunValues {
                id: state.run_id.to_string(),
                runtime: state.runtime.as_str().to_owned(),
                image: or_empty(&state.image),
                isolation: or_empty(&state.isolation),
            },
            base: PlaceValues {
                branch: report.base.to_owned(),
                commit: or_empty(&state.base_commit),
            },
            result: ResultValues {
                branch: report.branch.to_owned(),
                commit: or_empty(&state.result_commit),
                commits: state.commits,
                files_changed: state.files_changed,
                insertions: state.insertions,
                deletions: state.deletions,
            },
            outcome: report.outcome.to_string(),
            sessions: sessions.collect(),
            commits: report.changes.commits.clone(),
            files: report.changes.files.clone(),
            default_body: default_body.to_owned(),
        }
    }

    /// One session, commit and file, and everything empty.
    fn sample() -> Self {
        use super::changes::{Change, Commit, FileChange, FileKind};
        let text = String::new;
        let (kind, change) = (FileKind::Source, Change::Added);
        let file = FileChange { path: text(), kind, change, insertions: None, deletions: None };
        Self {
            sessions: vec![SessionValues::default()],
            commits: vec![Commit { id: text(), subject: text() }],
            files: vec![file],
            ..Self::default()
        }
    }
}
