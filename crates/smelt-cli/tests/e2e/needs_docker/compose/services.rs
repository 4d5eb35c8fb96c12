//! Services that work.

use super::{POSTGRES, log, service};
use crate::env::{TestEnv, amend, session};

/// A table made by one session, read by its gate and by a session after it.
pub fn a_database(env: &TestEnv, path: Option<&str>) {
    let repo = env.repo();
    let agent = "
        case $SMELT_SESSION in
        write) psql -c 'create table t (n int)' && psql -c 'insert into t values (42)' && echo done > w.txt ;;
        read) psql -Atc 'select n from t' > r.txt ;;
        esac";
    let gate = "test \"$(psql -Atc 'select n from t')\" = 42";
    let sessions = session("write", gate, "")
        + &session("read", "grep -qx 42 r.txt && test -f w.txt", "depends_on = [\"write\"]");
    let manifest = env.manifest("job", agent, &(POSTGRES.to_owned() + &sessions));
    amend(&manifest, "[environment]", "env = { PGHOST = \"postgres\", PGUSER = \"postgres\" }");
    let mut command = env.command(&["run", manifest.to_str().unwrap()]);
    command.envs(path.map(|path| ("PATH", path)));
    let said = crate::env::Said::from(command.output().unwrap()).with_code(0);
    assert!(said.stderr.contains("sandbox | postgres: works after"), "{}", said.stderr);
    assert!(said.stdout.contains("and a service beside it"), "{}", said.stdout);
    assert_eq!(repo.git(&["show", "smelt/job:r.txt"]), "42");
    assert!(log(env, "postgres").contains("database system is ready to accept connections"));
    env.nothing_is_left(&repo);
}

#[test]
fn a_database_is_reached_by_its_name_by_agents_and_gates() {
    a_database(&super::env(), None);
}

#[test]
fn the_manifest_of_three_sessions_passes_but_for_its_runtime() {
    let env = super::env();
    let repo = env.repo();
    let agent = "
        case $SMELT_SESSION in
        c) cat a.txt b.txt > c.txt ;;
        *) echo $SMELT_SESSION > $SMELT_SESSION.txt; git add . && git commit -qm \"Work of $SMELT_SESSION\" ;;
        esac";
    let sessions = session("a", "test -f a.txt", "")
        + &session("b", "test -f b.txt", "")
        + &session("c", "grep -q a c.txt && grep -q b c.txt", "depends_on = [\"a\", \"b\"]");
    env.run(&env.manifest("job", agent, &sessions)).with_code(0);
    let result = repo.git(&["ls-tree", "--name-only", "smelt/job"]);
    assert_eq!(result, "README.md\na.txt\nb.txt\nc.txt");
    env.nothing_is_left(&repo);
}

#[test]
fn nothing_of_smelt_s_own_comes_in_the_place_of_a_variable() {
    let env = super::env();
    let repo = env.repo();
    let odd = service(
        "odd",
        "echo \"<$PLAIN> <$QUOTED>\"; sleep 600",
        "environment = { PLAIN = \"$HOME ${PATH} $$\", QUOTED = \"a: [b] #c \\u0085 yes \\\"\" }",
    );
    let manifest = env.manifest("job", "true", &(odd + &session("one", "true", "")));
    env.run(&manifest).with_code(3);
    assert_eq!(log(&env, "odd"), "<$HOME ${PATH} $$> <a: [b] #c  yes \">\n");
    env.nothing_is_left(&repo);
}

#[test]
fn one_that_is_meant_to_end_is_waited_for_before_the_next_starts() {
    let env = super::env();
    let repo = env.repo();
    let services = service("seed", "sleep 1; echo seeded", "")
        + &service(
            "app",
            "echo app; sleep 600",
            "depends_on = { seed = { condition = \"service_completed_successfully\" } }",
        );
    let manifest = env.manifest("job", "echo a > a.txt", &(services + &session("one", "true", "")));
    let said = env.run(&manifest).with_code(0);
    assert!(said.stderr.contains("seed: done after"), "{}", said.stderr);
    assert_eq!(log(&env, "seed"), "seeded\n");
    env.nothing_is_left(&repo);
}

#[test]
fn one_that_ends_while_agents_work_is_told_with_its_last_lines() {
    let env = super::env();
    let repo = env.repo();
    let service = service("flaky", "sleep 3; echo so long; exit 7", "");
    let agent = "sleep 4; echo a > a.txt";
    let manifest = env.manifest("job", agent, &(service + &session("one", "true", "")));
    let said = env.run(&manifest).with_code(0);
    let told = "the service `flaky` has ended (exit code 7): its last lines: so long";
    assert!(said.stdout.contains(told), "{}\n{}", said.stdout, said.stderr);
    env.nothing_is_left(&repo);
}
