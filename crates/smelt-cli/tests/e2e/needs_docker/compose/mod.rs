//! Jobs with services beside their sandbox, by Compose.

mod faults;
mod needs_compose_plugin;
mod services;
mod walls;

use crate::env::TestEnv;

fn env() -> TestEnv {
    TestEnv::compose()
}

/// A service that is a database.
const POSTGRES: &str = r#"
[[services]]
name = "postgres"
image = "smelt-test/postgres"
healthcheck = { test = ["CMD", "pg_isready", "-h", "127.0.0.1"], interval = "1s", retries = 60 }
"#;

/// A service that is a shell command.
fn service(name: &str, command: &str, more: &str) -> String {
    format!(
        "[[services]]\nname = \"{name}\"\nimage = \"smelt-test/base\"\n\
         command = [\"sh\", \"-c\", '''{command}''']\n{more}\n\n"
    )
}

/// What a service has printed, as it is kept beside the sessions' logs.
fn log(env: &TestEnv, name: &str) -> String {
    let run = env.run_ids().remove(0);
    let path = env.path().join(format!(".smelt/runs/job/{run}/logs/{name}.service.log"));
    std::fs::read_to_string(path).unwrap()
}
