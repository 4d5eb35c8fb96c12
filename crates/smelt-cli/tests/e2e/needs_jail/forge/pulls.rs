use super::place::{AGENT, Place};
use smelt_testing_forge::{Kind, PullState};

#[test]
fn the_branch_arrives_and_its_pull_request_is_opened_and_updated_not_doubled() {
    for kind in [Kind::GitHub, Kind::Forgejo, Kind::Gitea] {
        let place = Place::new(kind);
        place.job(
            AGENT,
            "draft = true\nlabels = [\"smelt\"]\nreviewers = [\"alice\"]\nassignees = [\"bob\"]",
        );
        let said = place.smelt(&["run", "job.toml"]).with_code(0);
        assert_eq!(place.there("smelt/job:new.txt"), "new");
        let pull = &place.forge.pulls()[0];
        assert_eq!((pull.head.as_str(), pull.base.as_str()), ("smelt/job", "main"));
        assert!(pull.draft && pull.state == PullState::Open, "{pull:?}");
        assert_eq!(pull.labels, ["smelt"]);
        assert_eq!(pull.reviewers, ["alice"]);
        assert_eq!(pull.assignees, ["bob"]);
        assert!(pull.title.ends_with("Do one."), "{}", pull.title);
        assert!(pull.body.contains("| one | `test -f new.txt` | passed |"), "{}", pull.body);
        assert!(said.stdout.contains("/acme/app/pull"), "{}", said.stdout);

        place.job("echo newer > new.txt", "draft = true");
        place.smelt(&["run", "job.toml"]).with_code(0);
        assert_eq!(place.there("smelt/job:new.txt"), "newer");
        assert_eq!(place.forge.pulls().len(), 1);
        place.forge.assert_contract();
    }
}
