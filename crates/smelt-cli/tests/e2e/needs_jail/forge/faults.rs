//! What the forge refuses: the work stays, the message says what to do, and the delivery succeeds
//! once that is done.

use super::place::{AGENT, FILTERS, Place};
use crate::env::Said;
use smelt_testing_forge::{Fault, FaultKind, Kind};
use std::fmt::Write;

/// Something that keeps a result from its forge.
struct Case {
    name: &'static str,
    kinds: &'static [Kind],
    /// Further keys of `[forge]`.
    keys: &'static str,
    token: fn(&Place) -> String,
    spoil: fn(&Place),
    mend: fn(&Place),
}

const ALL: &[Kind] = &[Kind::GitHub, Kind::Forgejo, Kind::Gitea];

const GOOD: Case = Case {
    name: "",
    kinds: ALL,
    keys: "",
    token: |place| place.forge.token().to_owned(),
    spoil: |_| {},
    mend: |_| {},
};

/// Runs the job, and delivers its result after the fault is over.
fn told(case: &Case) -> String {
    let mut told = String::new();
    for kind in case.kinds {
        let place = Place::new(*kind);
        (case.spoil)(&place);
        place.job(AGENT, case.keys);
        let token = (case.token)(&place);
        let said = place.smelt_with(&token, &["run", "job.toml"]).with_code(69);
        still_here(&place);
        write!(told, "== {}, {kind:?}\n{}", case.name, failure(&place, &said)).unwrap();
        let again = place.smelt_with(&token, &["deliver", "job"]).with_code(69);
        still_here(&place);
        assert_eq!(failure(&place, &again), failure(&place, &said));
        (case.mend)(&place);
        place.smelt(&["deliver", "job"]).with_code(0);
        place.is_delivered_once();
    }
    told
}

/// The work is on its branch, and nobody has a pull request of it.
#[track_caller]
fn still_here(place: &Place) {
    assert_eq!(place.state()["outcome"], "undelivered");
    assert_eq!(place.repo().git(&["show", "smelt/job:new.txt"]), "new");
    assert!(place.forge.pulls().is_empty());
    place.env.nothing_is_left(&place.repo());
}

/// What the summary says went wrong, which `status` must say as well.
#[track_caller]
fn failure(place: &Place, said: &Said) -> String {
    let state = place.state();
    let of = |key: &str| state["failure"][key].as_str().unwrap_or_default().to_owned();
    let (message, hint) = (of("message"), of("hint"));
    assert!(said.stdout.contains(&message), "{message}: {}", said.stdout);
    assert!(hint.contains("smelt deliver job --run "), "{hint}");
    format!("{message}\n  help: {hint}\n")
}

fn snapshot(name: &str, cases: &[Case]) {
    let told: String = cases.iter().map(told).collect();
    insta::with_settings!({filters => FILTERS.to_vec(), omit_expression => true}, {
        insta::assert_snapshot!(name, told);
    });
}

#[test]
fn a_token_that_is_refused() {
    snapshot(
        "tokens",
        &[
            Case { name: "wrong token", token: |_| "wrong".into(), ..GOOD },
            Case {
                name: "read-only token",
                token: |place| place.forge.read_only_token().to_owned(),
                ..GOOD
            },
            Case {
                name: "token without access",
                token: |place| place.forge.token_without_access().to_owned(),
                ..GOOD
            },
        ],
    );
}

#[test]
fn a_branch_or_repository_that_is_not_there_or_not_to_be_written() {
    snapshot(
        "places",
        &[
            Case {
                name: "protected branch",
                spoil: |place| place.forge.protect_branch("smelt/*"),
                mend: |place| {
                    for hook in ["proc-receive", "pre-receive"] {
                        let _ =
                            std::fs::remove_file(place.forge.bare_repo().join("hooks").join(hook));
                    }
                    if place.forge.kind() == Kind::GitHub {
                        place.bare(&["config", "--unset", "receive.procReceiveRefs"]);
                    }
                },
                ..GOOD
            },
            Case {
                name: "renamed repository",
                spoil: |place| place.forge.rename_repository("moved"),
                mend: |place| place.forge.rename_repository("app"),
                ..GOOD
            },
        ],
    );
}

#[test]
fn a_base_that_is_not_there() {
    for kind in ALL {
        let place = Place::new(*kind);
        place.job(AGENT, "base = \"release\"");
        let said = place.smelt(&["run", "job.toml"]).with_code(69);
        still_here(&place);
        let told = failure(&place, &said);
        assert!(told.contains("acme/app has no branch `release`"), "{told}");
        assert!(told.contains("push `release` there, or name another branch"), "{told}");
        // Known before the agent began.
        assert!(said.stderr.contains("could not be delivered as things are"), "{}", said.stderr);
        assert_eq!(place.branches(), ["main"]);
        place.push("main:release");
        place.smelt(&["deliver", "job"]).with_code(0);
        let pulls = place.forge.pulls();
        assert_eq!((pulls.len(), pulls[0].base.as_str()), (1, "release"));
        place.forge.assert_contract();
    }
}

#[test]
fn a_repository_that_was_deleted() {
    for kind in ALL {
        let place = Place::new(*kind);
        place.forge.delete_repository();
        place.job(AGENT, "");
        let said = place.smelt(&["run", "job.toml"]).with_code(69);
        still_here(&place);
        let told = failure(&place, &said);
        assert!(told.contains("knows no repository `acme/app`"), "{told}");
        assert!(told.contains("check `repo` and `api_url`"), "{told}");
        place.forge.assert_contract();
    }
}

#[test]
fn a_token_that_is_missing_is_told_before_anything_is_made() {
    let place = Place::new(Kind::GitHub);
    place.job(AGENT, "");
    let refs = place.repo().refs();
    let said = place.env.smelt(&["run", "job.toml"]).with_code(65);
    assert!(said.stderr.contains("`FORGE_TOKEN`"), "{}", said.stderr);
    assert!(said.stderr.contains("--env-file"), "{}", said.stderr);
    assert_eq!(place.repo().refs(), refs);
    assert!(!place.env.path().join(".smelt").exists());
    let said = place.env.smelt(&["run", "job.toml", "--dry-run"]).with_code(0);
    assert!(said.stdout.contains("FORGE_TOKEN: missing"), "{}", said.stdout);
    assert!(place.forge.requests().iter().all(|request| request.git), "no dry run asks a forge");

    place.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
    let said = place.env.smelt(&["deliver", "job"]).with_code(65);
    assert!(said.stderr.contains("`FORGE_TOKEN`"), "{}", said.stderr);
    place.smelt(&["deliver", "job"]).with_code(0);
    place.is_delivered_once();
}

#[test]
fn nothing_to_review_opens_nothing() {
    for kind in ALL {
        for agent in ["true", "git commit --quiet --allow-empty -m Empty"] {
            let place = Place::new(*kind);
            let rest = format!("{}\n{}", place.keys(), crate::env::session("one", "true", ""));
            place.env.manifest("job", agent, &rest);
            place.smelt(&["run", "job.toml"]).with_code(3);
            assert_eq!(place.state()["outcome"], "no_changes");
            assert!(place.forge.pulls().is_empty());
            assert_eq!(place.branches(), ["main"], "{agent}");
            place.forge.assert_contract();
        }
    }
}

#[test]
fn a_forge_that_wants_to_be_left_alone_for_long() {
    for kind in ALL {
        let place = Place::undelivered(*kind);
        let limit = FaultKind::RateLimited { status: 429, retry_after: Some(1800), reset_in: None };
        place.forge.fault(Fault::on("POST", "/pulls", limit));
        let said = place.smelt(&["deliver", "job"]).with_code(69);
        still_here(&place);
        let told = failure(&place, &said);
        assert!(told.contains("asks to be left alone for a while"), "{told}");
        assert!(told.contains("it wants to be asked again in 30 min"), "{told}");
        place.smelt(&["deliver", "job"]).with_code(0);
        place.is_delivered_once();
    }
}
