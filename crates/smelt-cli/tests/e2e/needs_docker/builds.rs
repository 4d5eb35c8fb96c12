//! Images that are built of the very repository that a job works on.

use crate::env::{TestEnv, session};

#[test]
fn a_build_of_the_job_s_own_repository_is_made_once_and_used() {
    let env = TestEnv::docker();
    let repo = env.repo();
    repo.write("Dockerfile", "FROM smelt-test/base\nCOPY README.md /built\nRUN ls -A / > /list\n");
    repo.commit("A Dockerfile");
    let manifest = env.manifest("job", "cp /built built.txt", &session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = text.replace("repo = \"repo\"", "repo = \".\"");
    let text = text
        .replace("image = \"smelt-test/base\"\npull = \"never\"", "build = { context = \".\" }");
    let manifest = repo.path().join("job.toml");
    std::fs::write(&manifest, text).unwrap();
    env.home().give(&manifest);
    let run = || {
        let mut command = env.command(&["run", "job.toml"]);
        let said: crate::env::Said = command.current_dir(repo.path()).output().unwrap().into();
        said.with_code(0)
    };
    let first = run();
    assert!(first.stderr.contains("building smelt-build:"), "{}", first.stderr);
    // The run itself has written `.smelt` and refs; nothing of them is in the image.
    let second = run();
    assert!(!second.stderr.contains("building"), "{}", second.stderr);
    let tag = first.stderr.lines().find_map(|line| line.split_once("building ")).unwrap().1;
    let status = std::process::Command::new("docker").args(["rmi", "-f", tag]).output().unwrap();
    assert!(status.status.success());
}
