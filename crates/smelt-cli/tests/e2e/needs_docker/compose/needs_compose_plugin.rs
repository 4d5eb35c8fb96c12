//! The same with Compose's plugin, where the machine's own Compose is the older program.

/// Folder with a `docker-compose` that is the plugin's program.
const FOLDER: &str = "SMELT_TEST_COMPOSE_PLUGIN";

#[test]
fn a_database_is_reached_by_its_name_by_agents_and_gates() {
    let folder = std::env::var(FOLDER).unwrap_or_else(|_| panic!("{FOLDER} is not set"));
    let path = format!("{folder}:{}", smelt_testing::Home::search_path().to_string_lossy());
    super::services::a_database(&super::env(), Some(&path));
}
