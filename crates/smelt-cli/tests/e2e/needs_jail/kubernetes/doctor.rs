//! What `smelt doctor` tells of a cluster.

use super::{env, tells};
use crate::env::{Said, TestEnv};
use smelt_testing_kubernetes::Fault;

fn doctor(env: &TestEnv) -> Said {
    env.smelt(&["doctor", "--runtime", "kubernetes"])
}

/// What it tells of the runtime, but for the Role that it prints.
#[track_caller]
fn told(env: &TestEnv, said: &Said) -> String {
    let (_, told) = said.stdout.split_once("the kubernetes runtime\n").unwrap();
    let role = role_file();
    let told = told.replace(role.trim_end(), "[role]");
    told.replace(env.cluster().url(), "[cluster]")
        .replace(&env.path().display().to_string(), "[folder]")
}

/// The Role as it is in the runtime's own folder.
fn role_file() -> String {
    let path = "../smelt-runtime/src/kubernetes/role.yaml";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_cluster_that_allows_what_is_needed_is_good() {
    let env = env();
    let said = doctor(&env).with_code(0);
    insta::assert_snapshot!(told(&env, &said), @r"
          ✓ kubeconfig: context scripted of [folder]/home/.kube/scripted
          ✓ cluster: Kubernetes v1.33.4 at [cluster]/
          ✓ rights in namespace smelt: all that are needed
          ✓ Role: this one is enough:
        [role]
    ");
    assert_eq!(env.cluster().pods(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_missing_right_is_named_with_a_role_that_has_it() {
    let env = env();
    env.cluster().fault(Fault::forbidden("*", "pods/exec"));
    let said = doctor(&env).with_code(69);
    insta::assert_snapshot!(told(&env, &said), @r"
          ✓ kubeconfig: context scripted of [folder]/home/.kube/scripted
          ✓ cluster: Kubernetes v1.33.4 at [cluster]/
          ✗ rights in namespace smelt: may not `create` `pods/exec` in namespace `smelt`
              fix: have somebody who may apply the Role below
          ✗ rights in namespace smelt: may not `get` `pods/exec` in namespace `smelt`
              fix: have somebody who may apply the Role below
          ✓ Role: this one is enough:
        [role]
    ");
}

#[test]
fn a_manifest_s_own_namespace_is_the_one_that_is_looked_at() {
    let env = env();
    env.repo();
    let manifest = env.manifest("job", "true", &crate::env::session("one", "true", ""));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("namespace = \"smelt\"", "namespace = \"agents\""))
        .unwrap();
    let said = env.smelt(&["doctor", manifest.to_str().unwrap()]);
    tells(&said, "rights in namespace agents: all that are needed");
}

#[test]
fn without_policies_jobs_can_be_run_all_the_same() {
    let env = env();
    env.cluster().fault(Fault::forbidden("create", "networkpolicies"));
    let said = doctor(&env).with_code(0);
    insta::assert_snapshot!(told(&env, &said), @r"
          ✓ kubeconfig: context scripted of [folder]/home/.kube/scripted
          ✓ cluster: Kubernetes v1.33.4 at [cluster]/
          ! rights in namespace smelt: may not `create` `networkpolicies.networking.k8s.io` in namespace `smelt`
              fix: have somebody who may apply the Role below
          ✓ Role: this one is enough:
        [role]
    ");
}

#[test]
fn a_kubeconfig_that_leads_nowhere_is_told_from_a_cluster_that_does_not_answer() {
    let env = env();
    let path = env.path().join("home/.kube/scripted");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(env.cluster().url(), "http://127.0.0.1:1")).unwrap();
    let said = doctor(&env).with_code(69);
    tells(&said, "the cluster can't be reached");
    std::fs::remove_file(&path).unwrap();
    let said = doctor(&env).with_code(69);
    tells(&said, "there is no kubeconfig");
}
