//! What is on the result branch at the forge, and whose it is.

use super::place::{AGENT, Place};
use crate::env::amend;
use smelt_testing::TestRepo;
use smelt_testing_forge::{Fault, FaultKind, Kind, PullState};

const ALL: [Kind; 3] = [Kind::GitHub, Kind::Forgejo, Kind::Gitea];
const NEWER: &str = "echo newer > new.txt";

/// One whose job has been run and delivered.
fn delivered(kind: Kind) -> Place {
    let place = Place::new(kind);
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    place
}

/// Runs the job once more, with another result.
fn again(place: &Place) -> crate::env::Said {
    place.job(NEWER, "");
    place.smelt(&["run", "job.toml"]).with_code(0)
}

/// A commit on top of the result that somebody else pushes to its branch.
fn reviewed(place: &Place) -> String {
    let repo = place.repo();
    let tip = ["commit-tree", "smelt/job^{tree}", "-p", "smelt/job", "-m", "Review"];
    let tip = repo.git(&tip);
    place.push(&format!("{tip}:refs/heads/smelt/job"));
    tip
}

fn newest_run(place: &Place) -> String {
    place.state()["run_id"].as_str().unwrap().to_owned()
}

/// What the repository at the forge has on `main`, in the one here.
fn pull_main(place: &Place) {
    place.repo().git(&["pull", "--quiet", "--ff-only", &place.url(), "main"]);
}

#[test]
fn what_a_reviewer_pushed_stays_and_the_result_goes_elsewhere() {
    for kind in ALL {
        let place = delivered(kind);
        let review = reviewed(&place);
        let said = again(&place);
        let first = format!("smelt/job-{}", newest_run(&place));
        assert_eq!(place.bare(&["rev-parse", "smelt/job"]), review);
        assert_eq!(place.there(&format!("{first}:new.txt")), "newer");
        let told = format!("the result went to `{first}`");
        assert!(said.stderr.contains(&told), "{}", said.stderr);
        assert!(said.stdout.contains(&first), "the summary names it: {}", said.stdout);
        let pulls = place.forge.pulls();
        assert_eq!(pulls.len(), 2);
        assert_eq!((pulls[1].head.as_str(), pulls[1].base.as_str()), (first.as_str(), "main"));
        let told = format!(
            "> `smelt/job` holds commits that Smelt did not put there. They were left alone, and \
             this work is on `{first}`."
        );
        assert!(pulls[1].body.contains(&told), "{}", pulls[1].body);
        assert!(!pulls[0].body.contains("left alone"), "{}", pulls[0].body);

        // Once more changes nothing.
        place.smelt(&["deliver", "job"]).with_code(0);
        assert_eq!(place.forge.pulls().len(), 2);
        // The next run still does not write over it.
        again(&place);
        let second = format!("smelt/job-{}", newest_run(&place));
        assert_ne!(first, second);
        assert_eq!(place.bare(&["rev-parse", "smelt/job"]), review);
        assert_eq!(place.branches(), ["main", "smelt/job", &first, &second]);
        assert_eq!(place.forge.pulls().len(), 3);
        place.forge.assert_contract();
    }
}

#[test]
fn a_branch_that_was_there_before_smelt_is_somebody_s_work() {
    let place = Place::new(Kind::GitHub);
    place.push("main:smelt/job");
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(0);
    let there = format!("smelt/job-{}", newest_run(&place));
    assert_eq!(place.branches(), ["main", "smelt/job", &there]);
    assert_eq!(place.bare(&["rev-parse", "smelt/job"]), place.bare(&["rev-parse", "main"]));
    assert_eq!(place.forge.pulls()[0].head, there);
    place.forge.assert_contract();
}

/// The program ended between the push and the pull request: the repository remembers the push.
#[test]
fn a_push_without_its_pull_request_is_remembered() {
    let place = Place::new(Kind::GitHub);
    place.forge.fault(Fault::on("POST", "/pulls", FaultKind::Status(422)));
    place.job(AGENT, "");
    place.smelt(&["run", "job.toml"]).with_code(69);
    assert_eq!(place.branches(), ["main", "smelt/job"]);
    again(&place);
    assert_eq!(place.branches(), ["main", "smelt/job"]);
    assert_eq!(place.there("smelt/job:new.txt"), "newer");
    assert_eq!(place.forge.pulls().len(), 1);
    place.forge.assert_contract();
}

/// A fresh clone remembers nothing; the pull request tells whose the branch is.
#[test]
fn a_fresh_clone_believes_the_mark_of_the_pull_request() {
    for (kind, keep_mark) in ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let place = delivered(kind);
        for path in ["repo", ".smelt"] {
            std::fs::remove_dir_all(place.env.path().join(path)).unwrap();
        }
        clone(&place, "repo", &[]);
        if !keep_mark {
            place.forge.edit_body(1, "I like this one.");
        }
        again(&place);
        let pulls = place.forge.pulls();
        if keep_mark {
            assert_eq!(place.there("smelt/job:new.txt"), "newer");
            assert_eq!(pulls.len(), 1);
        } else {
            assert_eq!(place.there("smelt/job:new.txt"), "new");
            assert_eq!(pulls.len(), 2);
            assert_eq!(pulls[0].body, "I like this one.");
        }
        place.forge.assert_contract();
    }
}

/// Clones what is at the forge, as `name`.
fn clone<'a>(place: &'a Place, name: &str, options: &[&str]) -> TestRepo<'a> {
    let path = place.env.path().join(name);
    let mut command = place.env.home().command("git");
    command.args(["clone", "--quiet"]).args(options).arg(place.url()).arg(&path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let repo = TestRepo::at(place.env.home(), path);
    repo.git(&["config", "user.name", "Someone"]);
    repo.git(&["config", "user.email", "someone@example.org"]);
    repo
}

#[test]
fn a_pull_request_that_has_ended_is_not_brought_back() {
    for (kind, merge) in ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let place = delivered(kind);
        if merge {
            place.forge.merge(1);
            pull_main(&place);
        } else {
            place.forge.close(1);
        }
        let before = place.forge.pull(1);
        again(&place);
        let pulls = place.forge.pulls();
        assert_eq!(pulls.len(), 2, "{kind:?}, merged: {merge}");
        assert_eq!(pulls[0], before);
        assert_eq!((pulls[1].head.as_str(), pulls[1].state), ("smelt/job", PullState::Open));
        assert_eq!(place.branches(), ["main", "smelt/job"]);
        assert_eq!(place.state()["pr"]["number"], 2);
        place.forge.assert_contract();
    }
}

#[test]
fn a_branch_that_was_deleted_after_the_merge_comes_back() {
    let place = delivered(Kind::Forgejo);
    place.forge.merge(1);
    place.bare(&["branch", "-D", "smelt/job"]);
    pull_main(&place);
    again(&place);
    assert_eq!(place.there("smelt/job:new.txt"), "newer");
    assert_eq!(place.forge.pulls().len(), 2);
    place.forge.assert_contract();
}

#[test]
fn what_people_write_around_smelt_s_part_stays() {
    for kind in ALL {
        let place = delivered(kind);
        let body = place.forge.pull(1).body;
        place.forge.edit_body(1, &format!("Please look at this first.\n\n{body}\n\nThank you!"));
        again(&place);
        let pull = &place.forge.pulls()[0];
        assert!(pull.body.starts_with("Please look at this first.\n\n<!-- smelt:begin "));
        assert!(pull.body.ends_with("<!-- smelt:end -->\n\nThank you!"), "{}", pull.body);
        assert!(pull.body.contains(&newest_run(&place)), "{}", pull.body);
        assert_eq!(pull.body.matches("smelt:begin").count(), 1);

        // Somebody threw Smelt's part away.
        place.forge.edit_body(1, "By hand.");
        again(&place);
        let pull = &place.forge.pulls()[0];
        assert!(pull.body.starts_with("By hand.\n\n<!-- smelt:begin "), "{}", pull.body);
        assert_eq!(place.forge.pulls().len(), 1);
        place.forge.assert_contract();
    }
}

#[test]
fn the_default_branch_is_never_moved() {
    let place = Place::new(Kind::GitHub);
    let before = place.bare(&["rev-parse", "main"]);
    // What is called `main` there has another name here.
    place.repo().git(&["branch", "-m", "main", "trunk"]);
    place.push("trunk:release");
    let manifest = place.job(AGENT, "base = \"release\"");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\n[merge]\ntarget = \"main\"\n")).unwrap();
    let said = place.smelt(&["run", "job.toml"]).with_code(65);
    assert!(said.stdout.contains("which Smelt never moves"), "{}", said.stdout);
    assert!(said.stdout.contains("name another branch in `[merge] target`"));
    assert_eq!(place.bare(&["rev-parse", "main"]), before);
    assert!(place.forge.pulls().is_empty());
    place.forge.assert_contract();
}

#[test]
fn a_repository_by_its_url_is_delivered_without_one_here() {
    for kind in ALL {
        let place = Place::new(kind);
        let from = place.env.path().join("from.git");
        let here = place.repo().path().display().to_string();
        place.repo().git(&["clone", "--quiet", "--bare", &here, from.to_str().unwrap()]);
        let manifest = place.job(AGENT, "");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let url = format!("repo = \"file://{}\"", from.display());
        std::fs::write(&manifest, text.replacen("repo = \"repo\"", &url, 1)).unwrap();
        place.smelt(&["run", "job.toml", "--no-pr"]).with_code(0);
        assert!(place.forge.pulls().is_empty());
        place.smelt(&["deliver", "job"]).with_code(0);
        place.is_delivered_once();
        place.smelt(&["run", "job.toml"]).with_code(0);
        place.is_delivered_once();
    }
}

#[test]
fn a_shallow_checkout_of_a_build_server_is_enough() {
    for (kind, base) in ALL.into_iter().flat_map(|kind| [(kind, ""), (kind, "base = \"main\"")]) {
        let place = Place::new(kind);
        let repo = place.repo();
        repo.write("more.txt", "more\n");
        repo.commit("More");
        place.push("main:main");
        std::fs::remove_dir_all(repo.path()).unwrap();
        let repo = clone(&place, "repo", &["--depth", "1"]);
        repo.git(&["checkout", "--quiet", "--detach"]);
        repo.git(&["branch", "-D", "main"]);
        place.job(AGENT, base);
        place.smelt(&["run", "job.toml"]).with_code(0);
        place.is_delivered_once();
        assert_eq!(place.bare(&["rev-list", "--count", "smelt/job"]), "3");
    }
}

#[test]
fn a_tag_as_the_start_leads_to_the_default_branch() {
    let place = Place::new(Kind::GitHub);
    place.repo().git(&["tag", "v1"]);
    let manifest = place.job(AGENT, "");
    amend(&manifest, "[job]", "base_ref = \"v1\"");
    place.smelt(&["run", "job.toml"]).with_code(0);
    place.is_delivered_once();
}

#[test]
fn commits_that_nobody_has_there_yet_are_told_of() {
    for kind in ALL {
        let place = Place::new(kind);
        place.repo().write("mine.txt", "mine\n");
        place.repo().commit("Not pushed");
        place.job(AGENT, "");
        let said = place.smelt(&["run", "job.toml"]).with_code(0);
        let told = "the run started 1 commit ahead of `main` there: the pull request has them too";
        assert!(said.stderr.contains(told), "{}", said.stderr);
        place.is_delivered_once();
    }
}
