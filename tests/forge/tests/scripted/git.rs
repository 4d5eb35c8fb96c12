use crate::client::World;
use smelt_testing_forge::Kind;

const KINDS: [Kind; 3] = [Kind::GitHub, Kind::Forgejo, Kind::Gitea];

#[test]
fn a_push_with_the_token_arrives() {
    for kind in KINDS {
        let world = World::new(kind);
        let head = world.must(&["rev-parse", "HEAD"]);
        world.push("topic");
        let bare = world.forge.bare_repo();
        let there = world.must(&["-C", &bare.to_string_lossy(), "rev-parse", "topic"]);
        assert_eq!(there, head);
        let requests = world.forge.requests();
        let push = requests.iter().find(|request| request.path.ends_with("/git-receive-pack"));
        let push = push.expect("the push was recorded");
        assert!(push.git && push.header("authorization").is_some());
        assert_eq!(push.status, Some(200));
        // And what was pushed can be fetched, in git's newer protocol as well.
        let remote = world.remote(world.forge.read_only_token());
        let listed = world.must(&["-c", "protocol.version=2", "ls-remote", &remote, "topic"]);
        assert!(listed.starts_with(&head));
    }
}

#[test]
fn a_push_larger_than_gits_buffer_arrives_in_chunks() {
    let world = World::new(Kind::GitHub);
    let noise: String = (0..200_000u64).map(|n| format!("{:x}\n", n.wrapping_mul(n))).collect();
    let head = world.commit("noise.txt", &noise);
    let remote = world.remote(world.forge.token());
    world.must(&["-c", "http.postBuffer=65536", "push", "-q", &remote, "topic"]);
    let bare = world.forge.bare_repo();
    assert_eq!(world.must(&["-C", &bare.to_string_lossy(), "rev-parse", "topic"]), head);
    let requests = world.forge.requests();
    let chunked =
        |name: &str| requests.iter().any(|request| request.header(name) == Some("chunked"));
    assert!(chunked("transfer-encoding"));
}

#[test]
fn a_push_without_the_token_or_with_too_little_is_refused() {
    for kind in KINDS {
        let world = World::new(kind);
        let refused = |remote: &str| {
            let output = world.git(&["push", remote, "topic"]);
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        refused(&world.forge.git_url());
        assert!(refused(&world.remote("wrong")).contains("Authentication failed"));
        assert!(refused(&world.remote(world.forge.read_only_token())).contains("403"));
        assert!(refused(&world.remote(world.forge.token_without_access())).contains("not found"));
        let statuses: Vec<_> =
            world.forge.requests().iter().filter_map(|request| request.status).collect();
        assert!(statuses.contains(&401) && statuses.contains(&403) && statuses.contains(&404));
    }
}

#[test]
fn a_push_to_a_protected_branch_is_refused_in_the_services_words() {
    for kind in KINDS {
        let world = World::new(kind);
        world.forge.protect_branch("main");
        world.forge.protect_branch("release/*");
        let remote = world.remote(world.forge.token());
        for branch in ["main", "release/1"] {
            let output = world.git(&["push", &remote, &format!("topic:{branch}")]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{kind:?} {branch}: {said}");
            let (words, reason) = match kind {
                Kind::GitHub => ("GH006", "protected branch hook declined"),
                _ => ("Not allowed to push to protected branch", "pre-receive hook declined"),
            };
            assert!(said.contains(words) && said.contains(reason), "{kind:?}: {said}");
        }
        world.push("topic");
    }
    // GitHub refuses the protected branch of a push and takes the others.
    let world = World::new(Kind::GitHub);
    world.forge.protect_branch("main");
    let remote = world.remote(world.forge.token());
    let output = world.git(&["push", &remote, "topic:main", "topic"]);
    assert!(!output.status.success());
    let bare = world.forge.bare_repo();
    let branches = world.must(&["-C", &bare.to_string_lossy(), "branch", "--contains", "topic"]);
    assert_eq!(branches.trim(), "topic");
}

#[test]
fn git_follows_a_renamed_repository_and_loses_a_deleted_one() {
    let world = World::new(Kind::GitHub);
    let old = world.remote(world.forge.token());
    world.forge.rename_repository("renamed");
    world.must(&["push", "-q", &old, "topic"]);
    world.forge.delete_repository();
    let output = world.git(&["ls-remote", &world.remote(world.forge.token())]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not found"));
}
