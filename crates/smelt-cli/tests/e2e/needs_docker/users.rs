//! Who the agent is inside, and what is kept for it between runs.

use crate::env::{amend, docker_things, session};

/// Runs a job as `user`; returns what its agent told.
#[track_caller]
fn told_by(user: &str, agent: &str) -> String {
    let env = super::env();
    let repo = env.repo();
    let agent = format!(
        "{{ {agent}; }} > told.txt 2>&1; mkdir deep; echo x > deep/x; git add -A; git commit -qm Work"
    );
    let manifest = env.manifest("job", &agent, &session("one", "test -f deep/x", ""));
    amend(&manifest, "[environment]", &format!("user = \"{user}\""));
    env.run(&manifest).with_code(0);
    // Whoever made the files: the folder of the run is gone, and the repository its owner's still.
    env.nothing_is_left(&repo);
    repo.git(&["fsck", "--strict"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(repo.path()).unwrap());
    for path in crate::env::walk(&repo.path().join(".git")) {
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::symlink_metadata(&path).unwrap());
        assert_eq!(uid, owner, "{}", path.display());
    }
    repo.git(&["show", "smelt/job:told.txt"])
}

#[test]
fn root_by_wish_may_do_what_installing_packages_takes() {
    let agent = "id -u; touch /etc/new; chown 42:42 /etc/new; stat -c %u /etc/new; \
                 setpriv --reuid 42 --clear-groups id -u; mount -t tmpfs none /mnt 2>/dev/null || echo no mount";
    assert_eq!(told_by("root", agent), "0\n42\n42\nno mount");
}

#[test]
fn users_by_name_and_by_number_have_a_home_they_can_write() {
    let agent = "id -u; touch ~/new && echo a home; touch /etc/new 2>/dev/null || echo not root";
    assert_eq!(told_by("nobody", agent), "65534\na home\nnot root");
    assert_eq!(told_by("4321", agent), "4321\na home\nnot root");
    assert_eq!(told_by("4321:77", &format!("{agent}; id -g")), "4321\na home\nnot root\n77");
}

#[test]
fn a_user_whom_the_image_does_not_have_is_told() {
    let env = super::env();
    let repo = env.repo();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    amend(&manifest, "[environment]", "user = \"jane\"");
    let said = env.run(&manifest).with_code(65);
    assert!(
        said.stdout.contains("running as `jane`: the image has no such user"),
        "{}",
        said.stdout
    );
    env.nothing_is_left(&repo);
}

#[test]
fn cached_paths_are_kept_between_runs_until_they_are_cleaned() {
    let env = super::env();
    let repo = env.repo();
    let agent = "echo $SMELT_RUN_ID >> ~/.store/runs; cp ~/.store/runs runs.txt";
    let manifest = env.manifest("job", agent, &session("one", "true", ""));
    amend(&manifest, "[environment]", "cache = [\"~/.store\"]");
    for n in 1..=2 {
        env.run(&manifest).with_code(0);
        let runs = repo.git(&["show", "smelt/job:runs.txt"]);
        assert_eq!(runs.lines().count(), n, "{runs}");
        env.nothing_is_left(&repo);
    }
    // Its volume is told from others' by whose cache it is, and where.
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(repo.path()).unwrap());
    let whose = format!("{uid}:{}", env.home().home().join(".cache/smelt").display());
    let script = format!("printf %s {whose} | sha256sum | cut -c 1-12");
    let owner = std::process::Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
    let label = format!("smelt.cache={}", String::from_utf8(owner).unwrap().trim());
    assert_eq!(docker_things(&label).len(), 1);
    env.smelt(&["clean", "--cache"]).with_code(0);
    assert_eq!(docker_things(&label), Vec::<String>::new());
    env.run(&manifest).with_code(0);
    assert_eq!(repo.git(&["show", "smelt/job:runs.txt"]).lines().count(), 1);
    env.smelt(&["clean", "--cache"]).with_code(0);
    env.nothing_is_left(&repo);
}
