//! The same with Compose's plugin, where the machine's own Compose is the older program.

use std::path::Path;

/// Folder with a `docker-compose` that is the plugin's program.
const FOLDER: &str = "SMELT_TEST_COMPOSE_PLUGIN";

#[test]
fn a_database_is_reached_by_its_name_by_agents_and_gates() {
    let folder = std::env::var(FOLDER).unwrap_or_else(|_| panic!("{FOLDER} is not set"));
    let env = super::env();
    // Where an ordinary user may look, too.
    let bin = env.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(Path::new(&folder).join("docker-compose"), bin.join("docker-compose")).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let said =
        env.command(&["doctor", "--runtime", "compose"]).env("PATH", &path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("Compose: docker-compose 2."), "{said}");
    super::services::a_database(&env, Some(&path));
}
