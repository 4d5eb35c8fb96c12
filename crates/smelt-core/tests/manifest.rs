//! Manifests as users write them, good and broken.

use smelt_core::manifest::Manifest;
use std::path::Path;

fn problems(text: &str) -> String {
    match Manifest::parse(text, "job.toml", Path::new("/m"), Some(Path::new("/home/a"))) {
        Ok((_, problems)) => format!("accepted\n{problems}"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_mistake_of_a_file_is_reported_at_once_in_its_place() {
    let text = r#"
[job]
name = "fix it"
repo = "https://me:hunter2@example.com/a.git"
timout = 30
depth = 0
priority = 1000

[environment]
runtime = "dokcer"
imagee = "debian:12"
resources = { cpu = "two", memory = 0, pids = "many", disk = true }
env = { "1X" = "a", SMELT_JOB = "b", OK = 3 }
files = { "relative" = "x", "~/ok" = "missing.txt" }
network = "host"

[credentials.env]
ANTHROPIC_API_KEY = "sk-ant-secret"
GH = "FORGE_TOKEN"

[[session]]
name = "a"
spec = "do it"
harness = "true"
timeout = "10m"
depends_on = ["b", "nobody", 3]

[[session]]
name = "b"
spec = "x"
spec_file = "y"
depends_on = ["a"]
timeout = 0

[merge]
target = "refs/heads/main"
order = "a"

[forge]
provider = "github"
token_env = "FORGE_TOKEN"
api_url = "http://example.com/api/v3"

[[services]]
name = "db"
image = "postgres"
privileged = true
volumes = ["/etc:/etc"]

[surprise]
"#;
    insta::assert_snapshot!(problems(text));
}

/// A manifest with a forge, `orchestrator` as the keys of that section, and a state backend.
fn with_state(orchestrator: &str, key: &str) -> String {
    format!(
        "[job]\nname = \"job\"\nrepo = \"/r\"\n[environment]\nimage = \"i\"\n\
         [orchestrator]\n{orchestrator}\n[forge]\nprovider = \"github\"\nrepo = \"a/b\"\n\
         token_env = \"FORGE_TOKEN\"\n[state_backend]\ntype = \"linear\"\nteam_id = \"T\"\n\
         api_key_env = \"{key}\"\n\
         [[session]]\nname = \"a\"\nspec = \"x\"\nharness = \"true\"\ntimeout = 1\n"
    )
}

#[test]
fn the_state_backend_s_key_is_a_secret_of_assay_s_alone() {
    let names = |text: &str| {
        let read = Manifest::parse(text, "job.toml", Path::new("/m"), None);
        let (manifest, problems) = read.unwrap();
        let names = manifest.needed_secrets(false);
        (names.iter().map(ToString::to_string).collect::<Vec<_>>(), problems.to_string())
    };
    let (needed, told) = names(&with_state("sessions = \"together\"", "LINEAR_KEY"));
    assert_eq!((needed, told), (vec!["LINEAR_KEY".to_owned()], String::new()));
    let (needed, told) = names(&with_state("", "LINEAR_KEY"));
    assert_eq!(needed, ["LINEAR_KEY"]);
    assert!(told.contains("for several sessions only"), "{told}");
    let (needed, told) = names(&with_state("kind = \"direct\"\nagent = \"claude\"", "LINEAR_KEY"));
    assert_eq!(needed, Vec::<String>::new());
    assert!(told.contains("`[state_backend]` is only used by `assay`"), "{told}");
    for protected in ["FORGE_TOKEN", "SMELT_WRITE_TOKEN"] {
        let told = problems(&with_state("", protected));
        assert!(told.contains("never enters a sandbox"), "{told}");
    }
}

/// A manifest of the `compose` runtime with the keys of one service.
fn with_service(keys: &str) -> String {
    format!(
        "[job]\nname = \"job\"\nrepo = \"/r\"\n[environment]\nruntime = \"compose\"\nimage = \"i\"\n\
         [orchestrator]\nkind = \"direct\"\ncommand = \"true\"\n\
         [[session]]\nname = \"a\"\nspec = \"x\"\nharness = \"true\"\ntimeout = 1\n\
         [[services]]\nname = \"db\"\nimage = \"postgres\"\n{keys}\n"
    )
}

/// What is said of the service, a line for each problem.
fn said_of(keys: &str) -> Vec<String> {
    let told = problems(&with_service(keys));
    told.lines().filter(|line| line.contains("error")).map(str::to_owned).collect()
}

#[test]
fn every_compose_key_that_could_reach_the_host_is_refused_by_name() {
    let refused = [
        "build = \".\"",
        "cap_add = [\"SYS_ADMIN\"]",
        "cgroup = \"host\"",
        "cgroup_parent = \"x\"",
        "configs = [\"x\"]",
        "container_name = \"x\"",
        "credential_spec = { file = \"x\" }",
        "device_cgroup_rules = [\"c 1:3 mr\"]",
        "devices = [\"/dev/sda\"]",
        "env_file = \"/etc/passwd\"",
        "extends = { file = \"x\", service = \"y\" }",
        "external_links = [\"x\"]",
        "extra_hosts = [\"a:host-gateway\"]",
        "ipc = \"host\"",
        "links = [\"x\"]",
        "network_mode = \"host\"",
        "networks = [\"x\"]",
        "pid = \"host\"",
        "platform = \"linux/arm64\"",
        "ports = [\"80:80\"]",
        "privileged = true",
        "restart = \"always\"",
        "runtime = \"x\"",
        "secrets = [\"x\"]",
        "security_opt = [\"seccomp=unconfined\"]",
        "sysctls = { x = 1 }",
        "userns_mode = \"host\"",
        "uts = \"host\"",
        "volumes_from = [\"x\"]",
    ];
    for keys in refused {
        let key = keys.split(' ').next().unwrap();
        let said = said_of(keys);
        let [only] = &said[..] else { panic!("{keys}: {said:?}") };
        assert!(only.contains(&format!("`{key}` is not allowed for a service: ")), "{only}");
    }
    // All of them at once, each at its line.
    assert_eq!(said_of(&refused.join("\n")).len(), refused.len());
}

#[test]
fn no_trick_gets_a_compose_key_past_the_list() {
    for keys in [
        // Merge keys, extensions and what is quoted are keys like others.
        "\"<<\" = { privileged = true }",
        "\"privileged \" = true",
        "\"Privileged\" = true",
        "x-privileged = true",
        "deploy = { resources = {} }",
        "gpus = \"all\"",
        "develop = {}",
        "post_start = [{ command = \"x\" }]",
        "provider = { type = \"x\" }",
        "use_api_socket = true",
        "\"image\\n    privileged\" = \"true\"",
        // What is mounted is nothing of the host, however it is written.
        "volumes = [\"/etc:/etc\"]",
        "volumes = [\"./link:/etc\"]",
        "volumes = [\"~/x:/etc\"]",
        "volumes = [\"${HOME}:/etc\"]",
        "volumes = [\"name:/etc\"]",
        "volumes = [\"/var/run/docker.sock:/s\"]",
        "volumes = [\"relative\"]",
        "volumes = [{ type = \"bind\", source = \"/\", target = \"/x\" }]",
        "tmpfs = [\"relative\"]",
        "tmpfs = [\"/x:suid\"]",
        "tmpfs = [\"/x:exec,dev\"]",
        "tmpfs = [\"/x:size=bogus\"]",
        "volumes = [\"/\"]",
        "volumes = [\"/a\", \"/a\"]",
        // What Compose or the engine would refuse later.
        "command = \"sh -c 'unbalanced\"",
        "entrypoint = 'a \"b'",
        "expose = [\"abc\"]",
        "expose = [70000]",
        "working_dir = \"relative\"",
        "stop_signal = \"SIGBOGUS\"",
        "mem_limit = \"1M\"",
        "healthcheck = { test = \"x\", interval = \"100us\" }",
        "healthcheck = { test = \"x\", interval = \"99999999999999999999999h\" }",
        "healthcheck = { test = \"x\", interval = \"3000000h\" }",
        // Values of another kind.
        "command = { a = 1 }",
        "environment = [\"A=b\"]",
        "environment = { \"A=B\" = \"c\" }",
        "environment = { HOME = { file = \"x\" } }",
        "healthcheck = { test = [\"pg_isready\"] }",
        "healthcheck = { test = \"x\", interval = \"5 s\" }",
        "healthcheck = { test = \"x\", interval = \"soon\" }",
        "healthcheck = { test = \"x\", timeout = \"5\" }",
        "healthcheck = { test = \"x\", start_interval = \"5s\" }",
        "depends_on = [\"db\"]",
        "depends_on = [\"other\"]",
        "depends_on = { db = { condition = \"service_started\" } }",
    ] {
        assert!(!said_of(keys).is_empty(), "{keys}");
    }
    let said =
        |name: &str| said_of(&format!("[[services]]\nname = \"{name}\"\nimage = \"i\"")).concat();
    assert!(said("smelt").contains("`smelt` is what the sandbox calls itself"));
    assert!(said("DB").contains("two services are called `DB`"));
    for name in ["a_b", "123", "0x7f000001", "-a", "a-", ""] {
        assert!(said(name).contains("can't be a host name"), "{name}");
    }
    // What is long, but right.
    let fine = "command = \"sh -c 'echo a'\"\nexpose = [5432, \"53/udp\", \"1-2\"]\nstop_signal = \"SIGINT\"\n\
                tmpfs = [\"/x:size=64m,mode=1777,exec\"]\nmem_limit = \"16M\"\nworking_dir = \"/\"\n\
                healthcheck = { test = \"x\", interval = \"1h2m3s4ms\", start_period = \"0s\" }";
    assert_eq!(said_of(fine), Vec::<String>::new());
    let cycle = "depends_on = [\"app\"]\n[[services]]\nname = \"app\"\nimage = \"i\"\ndepends_on = [\"db\"]";
    assert!(said_of(cycle).concat().contains("in a cycle: "), "{:?}", said_of(cycle));
}

#[test]
fn what_no_pod_can_have_is_refused() {
    let pod = |keys: &str| {
        let text =
            with_service("").replace("[[services]]\nname = \"db\"\nimage = \"postgres\"\n", "");
        let keys = format!("runtime = \"kubernetes\"\n{keys}\n[kubernetes]\nnamespace = \"x\"");
        problems(&text.replace("runtime = \"compose\"\nimage = \"i\"", &keys))
    };
    assert!(pod("build = { context = \".\" }").contains("a cluster builds no image"));
    for user in ["root", "0", "0:0", "jane", "1000:jane"] {
        let told = pod(&format!("image = \"i\"\nuser = \"{user}\""));
        assert!(told.contains("the user of a pod is a number, and never root"), "{user}: {told}");
    }
}
