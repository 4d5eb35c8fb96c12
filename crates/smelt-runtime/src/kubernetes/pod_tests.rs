use super::super::policy::policy;
use super::*;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use smelt_core::manifest::Manifest;
use smelt_core::port::Labels;
use std::path::Path;
use std::time::Duration;

const OF_CLUSTER: &str = "namespace = \"agents\"\ncontext = \"lab\"\ncpu_request = \"500m\"\n\
     memory_request = \"1GiB\"\ncpu_limit = \"2\"\nmemory_limit = \"4GiB\"\nservice_account = \"agent\"\n\
     image_pull_secrets = [\"registry\"]\nnode_selector = { pool = \"agents\" }";

fn spec(job: &str, keys: &str, kubernetes: &str) -> SandboxSpec {
    let text = format!(
        "[job]\nname = \"{job}\"\nrepo = \".\"\n[environment]\nruntime = \"kubernetes\"\n{keys}\n\
         [kubernetes]\n{kubernetes}\n[orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
         [[session]]\nname = \"a\"\nspec = \"a\"\nharness = \"true\"\ntimeout = 1\n"
    );
    let manifest = Manifest::parse(&text, "test", Path::new("/"), None).unwrap().0;
    SandboxSpec {
        labels: Labels {
            owner: "d4nenhzc8c1h91b8".parse().unwrap(),
            job: manifest.job.name,
            run: "20261123t141502-k3f9qz".parse().unwrap(),
        },
        environment: manifest.environment,
        scratch: "/scratch".into(),
        root: "/scratch/root".into(),
        borrowed: Vec::new(),
        cache: None,
        services: Vec::new(),
        kubernetes: manifest.kubernetes,
        lifetime: Duration::from_secs(4200),
    }
}

const USER: User = User { uid: 1000, gid: 100 };

/// As it is sent; read back, nothing of it is lost.
fn sent(spec: &SandboxSpec) -> String {
    let (pod, policy) = (pod(spec, USER).unwrap(), policy(spec));
    let (pod_text, policy_text) =
        (serde_json::to_string(&pod).unwrap(), serde_json::to_string(&policy).unwrap());
    assert_eq!(serde_json::from_str::<api::Pod>(&pod_text).unwrap(), pod);
    assert_eq!(serde_json::from_str::<NetworkPolicy>(&policy_text).unwrap(), policy);
    super::super::blueprint::text(&pod, &policy)
}

#[test]
fn a_pod_keeps_to_the_restricted_standard_and_calls_nobody_of_the_cluster() {
    let spec = spec("job", "image = \"agent:1\"", "namespace = \"agents\"");
    insta::assert_snapshot!(sent(&spec));
}

#[test]
fn whatever_a_manifest_says_of_the_cluster_is_in_the_pod() {
    let keys = "image = \"agent:1\"\npull = \"always\"\nnetwork = \"none\"\n\
                resources = { cpu = \"8\", memory = \"16G\", disk = \"10G\" }";
    insta::assert_snapshot!(sent(&spec("long-job-", keys, OF_CLUSTER)));
}

#[test]
fn limits_are_never_below_what_is_reserved() {
    assert_eq!(between(None, None, 4), (4, 4));
    assert_eq!(between(Some(8), None, 4), (8, 8));
    assert_eq!(between(None, Some(2), 4), (2, 2));
    assert_eq!(between(Some(1), None, 4), (1, 4));
    assert_eq!(between(Some(1), Some(2), 4), (1, 2));
}

#[test]
fn what_a_pod_can_not_be_is_refused_with_what_to_do() {
    let mut build = spec("job", "image = \"agent:1\"", "namespace = \"agents\"");
    build.environment.image =
        Some(ImageSource::Build { context: "/".into(), dockerfile: "Dockerfile".into() });
    let refused = pod(&build, USER).unwrap_err().to_string();
    assert!(refused.contains("push it to a registry"), "{refused}");
    for (user, told) in
        [("agent", "as a number"), ("root", "root in a pod"), ("0", "root in a pod")]
    {
        let mut spec = spec("job", "image = \"agent:1\"", "namespace = \"a\"");
        spec.environment.user = Some(user.into());
        let refused = User::of(&spec.environment).unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let own = spec("job", "image = \"agent:1\"\nuser = \"1001:50\"", "namespace = \"a\"");
    assert_eq!(User::of(&own.environment).unwrap(), User { uid: 1001, gid: 50 });
}
