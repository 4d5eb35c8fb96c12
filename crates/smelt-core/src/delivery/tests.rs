//! What reviewers read, of a run whose every text is hostile.

use super::changes::{Change, Changes, Commit, FileChange, FileKind};
use super::order::Task;
use super::report::Report;
use super::{check_template, summary};
use crate::event::{GateReport, SessionState};
use crate::manifest::{Forge, ForgeTarget, OnGatesFailed};
use crate::outcome::Outcome;
use crate::state::RunState;

const HOSTILE: &str =
    "@acme/team closes #1 <!-- smelt:begin x --> </details> `x` | \u{1b}[2J\u{202e}";

fn state() -> RunState {
    let mut state = RunState::sample();
    state.base_commit = Some("b".repeat(40));
    state.base_branch = Some("main".into());
    state.result_branch = Some("smelt/demo".into());
    state.result_commit = Some("c".repeat(40));
    state.isolation = Some("a jail `x`".into());
    (state.commits, state.files_changed) = (2, 4);
    (state.insertions, state.deletions) = (10, 3);
    let session = &mut state.sessions[0];
    session.state = SessionState::Passed;
    session.gate = Some(GateReport {
        command: "cargo test | tee `log`".into(),
        passed: true,
        exit_code: Some(0),
        duration_ms: 61_250,
        tail: vec!["```".into(), HOSTILE.into(), "test result: ok".into()],
    });
    session.merged_gate = Some(GateReport {
        command: "cargo test".into(),
        passed: false,
        exit_code: Some(101),
        duration_ms: 4_000,
        tail: vec!["1 failed".into()],
    });
    state
}

fn changes() -> Changes {
    let file = |path: &str, change, lines: Option<u64>| FileChange {
        path: path.into(),
        kind: FileKind::of(path),
        change,
        insertions: lines,
        deletions: lines,
    };
    Changes {
        commits: vec![
            Commit { id: "c".repeat(40), subject: HOSTILE.into() },
            Commit { id: "d".repeat(40), subject: "Add a `limiter`".into() },
        ],
        files: vec![
            file(".github/workflows/`ci`.yml", Change::Added, Some(3)),
            file("src/lib.rs\n# A heading", Change::Modified, Some(1)),
            file("logo.png", Change::Deleted, None),
            file("tests/@octocat.rs", Change::Link, Some(1)),
        ],
        files_total: 4,
    }
}

fn forge(title: Option<&str>, body: Option<&str>) -> Forge {
    Forge {
        target: ForgeTarget::Local,
        base: None,
        draft: false,
        labels: vec![],
        reviewers: vec![],
        assignees: vec![],
        title: title.map(str::to_owned),
        body: body.map(str::to_owned),
        on_gates_failed: OnGatesFailed::None,
    }
}

fn with_report<T>(look: impl FnOnce(&Report<'_>) -> T) -> T {
    let (state, changes) = (state(), changes());
    let tasks =
        [Task { session: "a".parse().unwrap(), text: format!("# Do it\n\n{HOSTILE}\n```\n") }];
    look(&Report {
        state: &state,
        outcome: Outcome::GatesFailed,
        tasks: &tasks,
        changes: &changes,
        branch: "smelt/demo-20261123t141502-k3f9qz",
        base: "main",
        instead_of: Some("smelt/demo"),
    })
}

/// Nothing that a forge would obey is outside of code, nor within it.
fn assert_harmless(text: &str) {
    for live in ["@acme", "@octocat", "closes #1", "#1 ", "smelt:begin x", "\u{1b}", "\u{202e}"] {
        // In code it is only text; what is in code there is broken up by then.
        let outside = text.lines().filter(|line| !line.contains('`') && line.contains(live));
        assert_eq!(outside.collect::<Vec<_>>(), Vec::<&str>::new(), "{live}\n{text}");
    }
    assert!(!text.contains("@acme") && !text.contains("closes #1"), "{text}");
    assert!(!text.contains("<!--"), "{text}");
}

#[test]
fn a_body_tells_a_reviewer_everything_and_obeys_nobody() {
    let body = with_report(|report| report.body(&forge(None, None)).unwrap());
    assert_harmless(&body);
    assert!(body.starts_with("> [!WARNING]\n> **This changes what CI runs**"), "{body}");
    insta::assert_snapshot!(body);
}

#[test]
fn a_title_is_one_line_by_the_task_or_by_its_template() {
    with_report(|report| {
        assert_eq!(report.title(&forge(None, None)).unwrap(), "Do it");
        let title = |template| report.title(&forge(Some(template), None)).unwrap();
        assert_eq!(title("[{{ job.name }}]\n{{ sessions[0].name }}"), "[demo] a");
        let hostile = title("{{ commits[0].subject }}");
        assert!(!hostile.contains("@acme") && !hostile.contains("closes #1"), "{hostile}");
        assert!(title("{{ sessions | length }} {{ 'x' * 1000 }}").chars().count() <= 120);
    });
}

#[test]
fn what_templates_put_in_is_harmless_however_it_is_put() {
    with_report(|report| {
        for template in [
            "{{ commits[0].subject }}",
            "{{ commits | map(attribute='subject') | join(' ') }}",
            "{% for commit in commits %}{{ commit.subject | upper | lower }}{% endfor %}",
            "{% set x %}{{ commits[0].subject }}{% endset %}{{ x }}",
            "{{ commits }}",
            "{{ '%s' | format(commits[0].subject) }}",
            "{{ commits[0].subject ~ '' }}",
            "{{ sessions[0].task }}",
        ] {
            let body = report.body(&forge(None, Some(template))).unwrap();
            assert!(!body.contains("@acme") && !body.contains("<!--"), "{template}: {body}");
            assert!(!body.to_lowercase().contains("closes #1"), "{template}: {body}");
            assert!(body.starts_with("> [!WARNING]"), "CI comes first: {body}");
        }
        let body = report.body(&forge(None, Some("Mine.\n\n{{ default_body }}"))).unwrap();
        assert!(body.starts_with("Mine.\n\n> [!WARNING]") && body.contains("## Gates"), "{body}");
    });
}

#[test]
fn a_template_that_can_not_be_used_says_where() {
    for (template, why) in [
        ("{{ job.nam }}", "there is no `job.nam` (line 1 of the template)"),
        ("a\n{{ job.name", "(line 2 of the template)"),
        ("{{ job.name | safe }}", "unknown filter"),
        ("{% for i in range(1000000) %}{{ i }}{% endfor %}", ""),
        ("{{ isue.key }}", "there is no `isue.key`"),
    ] {
        let error = check_template(template).unwrap_err().to_string();
        assert!(error.contains(why), "{template}: {error}");
    }
    for template in ["{{ job.name }}", "{% if sessions[0].gate.exit_code %}x{% endif %}", "plain"] {
        check_template(template).unwrap();
    }
}

#[test]
fn a_body_that_is_too_long_is_cut_between_lines_and_closed() {
    let (mut state, changes) = (state(), changes());
    let line = "x".repeat(190);
    let session = state.sessions[0].clone();
    state.sessions = (0..40)
        .map(|n| {
            let mut session = session.clone();
            session.name = format!("s{n}").parse().unwrap();
            session.gate.as_mut().unwrap().tail = vec![line.clone(); 15];
            session
        })
        .collect();
    let report = with_report(|report| Report { tasks: &[], ..*report }.default_title());
    assert_eq!(report, "demo: ");
    let report = Report {
        state: &state,
        outcome: Outcome::Complete,
        tasks: &[],
        changes: &changes,
        branch: "b",
        base: "main",
        instead_of: None,
    };
    let body = report.body(&forge(None, None)).unwrap();
    assert!(body.chars().count() <= 60_000);
    assert!(body.ends_with("`smelt logs` can.*"), "{body}");
    let opened = body.lines().filter(|line| line.starts_with("<details")).count();
    let closed = body.lines().filter(|line| line.starts_with("</details>")).count();
    assert_eq!(opened, closed);
    let fences = body.lines().filter(|line| line.starts_with("```")).count();
    assert_eq!(fences % 2, 0);
}

#[test]
fn a_summary_for_the_page_of_a_build() {
    let mut state = state();
    state.outcome = Some(Outcome::Undelivered);
    let text = summary(&state, &[]);
    assert_harmless(&text);
    insta::assert_snapshot!(text);
}
