//! What a build server gets: a report of the gates, and a summary on its page.

use super::place::{AGENT, Place};
use crate::env::{Said, session};
use smelt_testing_forge::Kind;

fn run(place: &Place, args: &[&str], variable: &str) -> Said {
    let mut command = place.env.command(&[&["run", "job.toml"], args].concat());
    command.env("FORGE_TOKEN", place.forge.token());
    command.env(variable, place.env.path().join("summary.md"));
    command.output().unwrap().into()
}

fn read(place: &Place, path: &str) -> String {
    std::fs::read_to_string(place.env.path().join(path)).unwrap()
}

#[test]
fn the_report_has_a_case_for_each_gate() {
    let place = Place::new(Kind::GitHub);
    let rest = [
        place.keys(),
        "on_gates_failed = \"draft\"\n".to_owned(),
        session("good", "test -f good.txt", ""),
        session("bad", r#"echo '<&"' ']]>'; printf '\033[31mred\n'; exit 7"#, ""),
        session("after", "true", "depends_on = [\"bad\"]"),
    ];
    place.env.manifest("job", "echo x > $SMELT_SESSION.txt", &rest.concat());
    run(&place, &["--report", "junit.xml"], "GITHUB_STEP_SUMMARY").with_code(2);
    let report = read(&place, "junit.xml");
    assert!(
        report.contains(
            "<testsuite name=\"job\" tests=\"4\" skipped=\"1\" errors=\"0\" failures=\"1\">"
        ),
        "{report}"
    );
    for part in
        ["<testcase name=\"good\"", "<testcase name=\"bad\"", "<failure", "exit code 7", "<skipped"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(!report.contains('\u{1b}'), "{report}");
    let summary = read(&place, "summary.md");
    assert!(summary.contains("# Smelt: gates_failed: `job`"), "{summary}");
    assert!(summary.contains("[draft pull request 1](http://127.0.0.1:"), "{summary}");
    assert!(summary.contains("**failed** (exit code 7)"), "{summary}");
    place.forge.assert_contract();
}

#[test]
fn the_gates_on_the_merged_tree_are_cases_of_their_own() {
    let place = Place::new(Kind::Forgejo);
    let rest = [place.keys(), session("a", "test -f a.txt", ""), session("b", "test -f b.txt", "")];
    place.env.manifest("job", "echo x > $SMELT_SESSION.txt", &rest.concat());
    place.smelt(&["run", "job.toml", "--report", "deep/er/junit.xml"]);
    place.smelt(&["run", "job.toml", "--report", "junit.xml"]).with_code(0);
    let report = read(&place, "junit.xml");
    assert!(report.contains("name=\"a on the merged tree\""), "{report}");
    assert!(report.contains("tests=\"4\""), "{report}");
    place.forge.assert_contract();
}

#[test]
fn the_summary_is_added_to_what_earlier_steps_wrote() {
    for (kind, variable) in [
        (Kind::GitHub, "GITHUB_STEP_SUMMARY"),
        (Kind::Forgejo, "FORGEJO_STEP_SUMMARY"),
        (Kind::Gitea, "GITEA_STEP_SUMMARY"),
    ] {
        let place = Place::new(kind);
        place.job(AGENT, "");
        place.env.write("summary.md", "An earlier step.\n");
        run(&place, &[], variable).with_code(0);
        run(&place, &[], variable).with_code(0);
        let summary = read(&place, "summary.md");
        assert!(summary.starts_with("An earlier step.\n"), "{summary}");
        assert_eq!(summary.matches("# Smelt: complete: `job`").count(), 2, "{summary}");
        assert_eq!(summary.matches("[pull request 1](http://127.0.0.1:").count(), 2, "{summary}");
        place.forge.assert_contract();
    }
}

#[test]
fn a_delivery_that_failed_is_on_the_page() {
    let place = Place::new(Kind::GitHub);
    place.forge.protect_branch("smelt/*");
    place.job(AGENT, "");
    run(&place, &["--report", "junit.xml"], "GITHUB_STEP_SUMMARY").with_code(69);
    let summary = read(&place, "summary.md");
    assert!(summary.contains("# Smelt: undelivered: `job`"), "{summary}");
    assert!(summary.contains("GH006") && summary.contains("smelt deliver job --run"), "{summary}");
    assert!(read(&place, "junit.xml").contains("failures=\"0\""));
    place.forge.assert_contract();
}
