use crate::env::TestEnv;
use smelt_testing::TestRepo;

#[test]
fn the_demo_ends_in_a_result_branch_and_says_how_to_look_at_it() {
    let env = TestEnv::new();
    let said = env.smelt(&["demo", "--dir", "demo"]).with_code(0);
    assert!(said.stdout.contains("complete: demo"), "{}", said.stdout);
    assert!(said.stdout.contains("a bubblewrap jail"), "{}", said.stdout);
    let repo = TestRepo::at(env.home(), env.path().join("demo/hello"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let files = repo.git(&["ls-tree", "--name-only", "smelt/demo"]);
    assert_eq!(files, "CHANGELOG.md\nMANUAL.md\nREADME.md\ngreet.sh\ntest.sh");
    // What the summary tells to do can be done.
    let look = said.stdout.lines().find_map(|line| line.trim().strip_prefix("look")).unwrap();
    let words: Vec<_> = look.split_whitespace().skip(1).collect();
    assert!(env.home().command("git").args(words).status().unwrap().success(), "{look}");
}
