//! What `--dry-run -v` shows of a pod.

use super::env;
use crate::env::{amend, session};

#[test]
fn a_plan_shows_the_pod_and_its_policy_and_asks_the_cluster_for_neither() {
    let env = env();
    let _repo = env.repo();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let wishes = "service_account = \"agents\"\nnode_selector = { pool = \"agents\" }\n\
                  memory_request = \"1GiB\"\nimage_pull_secrets = [\"registry\"]";
    amend(&manifest, "[kubernetes]", wishes);
    let path = manifest.to_str().unwrap();
    let said = env.smelt(&["run", path, "--dry-run", "-v"]).with_code(0);
    insta::with_settings!({filters => vec![
        (r"/tmp/smelt-test-\w+", "[folder]"),
        (r"at [0-9a-f]{10}", "at [commit]"),
        (r"(runAsUser|runAsGroup|fsGroup): \d+", "$1: [id]"),
    ]}, {
        insta::assert_snapshot!(said.stdout);
    });
    let short = env.smelt(&["run", path, "--dry-run"]).with_code(0);
    assert!(said.stdout.starts_with(&short.stdout), "{}", short.stdout);
    assert!(!short.stdout.contains("NetworkPolicy"), "{}", short.stdout);
    assert_eq!(env.cluster().requests(), []);
    assert!(!env.path().join(".smelt").exists());
}
