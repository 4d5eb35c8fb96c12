//! The example, run as another tool would run it.

mod needs_jail {
    use smelt_testing::{Home, TestRepo};

    #[test]
    fn a_job_is_run_and_its_events_are_printed() {
        let home = Home::new();
        let repo = TestRepo::new(&home, "repo");
        let program = env!("CARGO_BIN_EXE_smelt-example-embed");
        let output = std::process::Command::new(program).arg(repo.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.ends_with("outcome: complete\n"), "{told}");
        assert!(told.contains("executing") && told.contains("GateFinished"), "{told}");
        assert_eq!(
            repo.git(&["show", "smelt/embedded:TASK.md"]),
            "Write down what you were asked."
        );
    }
}
