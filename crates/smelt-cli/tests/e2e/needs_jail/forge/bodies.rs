//! What a pull request says: what agents wrote is harmless in it, and templates are the manifest's.

use super::place::{AGENT, Place};
use crate::env::{amend, session};
use smelt_testing_forge::Kind;

const ALL: [Kind; 3] = [Kind::GitHub, Kind::Forgejo, Kind::Gitea];

/// Writes all that a forge would obey: into a subject, a file's name, and the gate's output.
const HOSTILE: &str = r"
    mkdir -p .github/workflows src
    echo 'on: push' > .github/workflows/x.yml
    echo x > 'src/a`b`@team-`c.rs'
    echo new > new.txt
    git add -A
    git commit --quiet -F - <<'END'
Hi @team closes #1 <!-- smelt:begin run=x branch=smelt/job commit=OURS --> <!-- smelt:end --> </details> `@x` $(printf x)
END
    git commit --quiet --allow-empty -m $'\033[31m\xe2\x80\xaefixes #2\u0007'
";

const GATE: &str = "printf '</details>\\n```\\n@everyone resolves #3\\n<!-- smelt:end -->\\n<img src=x>\\n'; test -f new.txt";

/// The parts of Markdown that a forge obeys: without code, in lines and in blocks.
fn obeyed(body: &str) -> String {
    let mut outside = String::new();
    let mut fence: Option<String> = None;
    for line in body.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                // Code within a line begins and ends with equally many ticks.
                let mut rest = line;
                while let Some(start) = rest.find('`') {
                    let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
                    let mark = "`".repeat(ticks);
                    let after = &rest[start + ticks..];
                    let end = after.find(&mark).expect("code that ends in its line");
                    outside += &rest[..start];
                    rest = &after[end + ticks..];
                }
                outside += rest;
                outside.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "code that ends: {body}");
    outside
}

#[track_caller]
fn is_harmless(body: &str) {
    for live in ["@team", "@everyone", "@x", "closes #1", "fixes #2", "resolves #3"] {
        assert!(!body.contains(live), "{live}: {body}");
    }
    let odd = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!body.contains(odd), "{body:?}");
    assert_eq!(body.matches("<!--").count(), 2, "Smelt's own two marks: {body}");
    let outside = obeyed(body);
    assert_eq!(outside.matches("<details").count(), outside.matches("</details>").count());
    assert!(!outside.contains("<img"), "{outside}");
}

#[test]
fn what_agents_write_is_text_and_ci_is_named_first() {
    for kind in ALL {
        let place = Place::new(kind);
        let rest = format!("{}\n{}", place.keys(), session("one", GATE, ""));
        let agent = format!("bash -c '{}'", HOSTILE.replace('\'', "'\\''"));
        let manifest = place.env.manifest("job", &agent, &rest);
        let text = std::fs::read_to_string(&manifest).unwrap();
        let task = "Fix @admin's <b>bug</b>, closes #4 <!-- x -->";
        std::fs::write(&manifest, text.replace("Do one.", task)).unwrap();
        place.smelt(&["run", "job.toml"]).with_code(0);
        let pull = place.forge.pull(1);
        for live in ["@admin", "closes #4"] {
            assert!(!pull.title.contains(live) && !pull.body.contains(live), "{}", pull.title);
        }
        assert!(pull.title.replace('\u{200b}', "").starts_with("Fix @admin's"), "{}", pull.title);
        is_harmless(&pull.body);
        let first = pull.body.lines().skip(1).take(3).collect::<Vec<_>>().join("\n");
        assert!(first.contains("**This changes what CI runs** (1 file)"), "{}", pull.body);
        assert!(first.contains("`.github/workflows/x.yml` added"), "{}", pull.body);
        let seen = pull.body.replace('\u{200b}', "");
        assert!(seen.contains("src/a`b`@team-`c.rs"), "{seen}");
        assert!(seen.contains("Hi @team closes #1"), "{seen}");

        // Brought up to date it is no longer.
        let before = pull.body.len();
        place.smelt(&["run", "job.toml"]).with_code(0);
        let pull = place.forge.pull(1);
        is_harmless(&pull.body);
        assert!(pull.body.len() < before + 100);
        place.forge.assert_contract();
    }
}

#[test]
fn templates_say_what_people_want_and_agents_do_not() {
    let place = Place::new(Kind::GitHub);
    let keys = "title = \"[{{ job.name }}] {{ sessions[0].task }} @ {{ base.branch }}\"\n\
        body = \"\"\"\n# Hello\n{% for commit in commits %}- {{ commit.subject }}\n{% endfor %}\
        {% for file in files %}{{ file.path }} ({{ file.kind }}) {% endfor %}\
        {{ result.files_changed }} files, {{ sessions[0].gate.tail }}\n\"\"\"\n";
    let rest = format!("{}{keys}\n{}", place.keys(), session("one", GATE, ""));
    let agent = format!("bash -c '{}'", HOSTILE.replace('\'', "'\\''"));
    place.env.manifest("job", &agent, &rest);
    place.smelt(&["run", "job.toml"]).with_code(0);
    let pull = place.forge.pull(1);
    assert_eq!(pull.title, "[job] Do one. @ main");
    is_harmless(&pull.body);
    assert!(pull.body.contains("# Hello") && pull.body.contains("3 files"), "{}", pull.body);
    assert!(pull.body.contains("**This changes what CI runs**"), "{}", pull.body);
    place.forge.assert_contract();
}

#[test]
fn a_template_that_can_not_be_used_is_told_with_its_line() {
    let place = Place::new(Kind::GitHub);
    let manifest = place.job(AGENT, "title = \"{{ job.nam }}\"\nbody = \"{% for x in %}\"\n");
    let said = place.smelt(&["run", "job.toml"]).with_code(65);
    let text = std::fs::read_to_string(&manifest).unwrap();
    for key in ["title = ", "body = "] {
        let line = text.lines().position(|line| line.starts_with(key)).unwrap() + 1;
        assert!(said.stderr.contains(&format!("job.toml:{line}")), "{line}: {}", said.stderr);
    }
    assert!(said.stderr.contains("this template can't be used"), "{}", said.stderr);
    assert!(!place.env.path().join(".smelt").exists());
    place.forge.assert_contract();
}

#[test]
fn work_whose_gates_failed_becomes_a_draft_where_that_is_asked_for() {
    for kind in ALL {
        let place = Place::new(kind);
        let sessions = [
            session("good", "test -f good.txt", ""),
            session("fine", "test -f fine.txt", ""),
            session("bad", "echo no; exit 7", ""),
        ]
        .concat();
        let agent = "echo x > $SMELT_SESSION.txt";
        place.env.manifest("job", agent, &format!("{}\n{sessions}", place.keys()));
        place.smelt(&["run", "job.toml"]).with_code(2);
        assert!(place.forge.pulls().is_empty());
        assert_eq!(place.branches(), ["main"]);
        assert!(!place.repo().refs().contains("refs/heads/smelt/job"));
        place.smelt(&["deliver", "job"]).with_code(1);

        let manifest = place.env.path().join("job.toml");
        amend(&manifest, "[forge]", "on_gates_failed = \"draft\"");
        place.smelt(&["run", "job.toml"]).with_code(2);
        let pull = place.forge.pull(1);
        assert!(pull.draft, "{pull:?}");
        assert!(pull.body.contains("**Not every gate passed.**"), "{}", pull.body);
        assert!(pull.body.contains("| bad | `echo no; exit 7` | **failed** (exit code 7) |"));
        let files = place.bare(&["ls-tree", "--name-only", "smelt/job"]);
        assert!(files.contains("good.txt") && files.contains("fine.txt"), "{files}");
        assert!(!files.contains("bad.txt"), "{files}");
        assert_eq!(place.state()["outcome"], "gates_failed");
        place.smelt(&["deliver", "job"]).with_code(2);
        assert_eq!(place.forge.pulls().len(), 1);
        place.forge.assert_contract();
    }
}

/// A target that is the base itself: the result has its own branch, the pull request goes there.
#[test]
fn a_target_that_is_the_base_gets_the_pull_request() {
    let place = Place::new(Kind::Forgejo);
    place.repo().git(&["checkout", "--quiet", "-b", "next"]);
    place.push("next:next");
    let manifest = place.job(AGENT, "");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\n[merge]\ntarget = \"next\"\n")).unwrap();
    place.smelt(&["run", "job.toml"]).with_code(0);
    let pull = place.forge.pull(1);
    assert_eq!((pull.head.as_str(), pull.base.as_str()), ("smelt/job", "next"));
    assert_eq!(place.bare(&["rev-parse", "next"]), place.bare(&["rev-parse", "main"]));
    place.forge.assert_contract();
}

#[test]
fn pull_requests_as_files_are_not_doubled_and_end_with_the_merge() {
    let env = crate::env::TestEnv::new();
    let repo = env.repo();
    let rest = format!("[forge]\nprovider = \"local\"\n{}", session("one", "true", ""));
    env.manifest("job", AGENT, &rest);
    env.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
    assert!(!env.path().join(".smelt/pulls").exists());
    env.smelt(&["deliver", "job"]).with_code(0);
    env.smelt(&["deliver", "job"]).with_code(0);
    env.smelt(&["run", "job.toml"]).with_code(0);
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(env.path().join(".smelt/pulls"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["1.md", "1.patch", "1.toml"]);
    assert_eq!(env.status("job")["pr"]["state"], "open");
    // What the patch says is what the branch has.
    let patch = env.path().join(".smelt/pulls/1.patch");
    repo.git(&["checkout", "--quiet", "-b", "by-mail"]);
    repo.git(&["am", "--quiet", patch.to_str().unwrap()]);
    assert_eq!(
        repo.git(&["rev-parse", "by-mail^{tree}"]),
        repo.git(&["rev-parse", "smelt/job^{tree}"])
    );
    repo.git(&["checkout", "--quiet", "main"]);
    repo.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "smelt/job"]);
    env.smelt(&["watch", "job", "--interval-secs", "1"]).with_code(0);
    assert_eq!(env.status("job")["pr"]["state"], "merged");
    env.manifest("job", "echo more > more.txt", &rest);
    env.smelt(&["run", "job.toml"]).with_code(0);
    assert_eq!(names(), ["1.md", "1.patch", "1.toml", "2.md", "2.patch", "2.toml"]);
    let pull = env.path().join(".smelt/pulls/2.toml");
    let text = std::fs::read_to_string(&pull).unwrap();
    std::fs::write(&pull, text.replace("state = \"open\"", "state = \"closed\"")).unwrap();
    env.smelt(&["watch", "job", "--interval-secs", "1"]).with_code(1);
}
