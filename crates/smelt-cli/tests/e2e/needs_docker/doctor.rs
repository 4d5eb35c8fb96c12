//! What `smelt doctor` tells of an engine, and of an image.

use crate::env::{Said, TestEnv, amend, session};

#[test]
fn an_engine_that_is_not_there_one_that_may_not_be_used_and_one_that_is_too_old_are_told_apart() {
    let env = TestEnv::docker();
    let doctor = |host: &str| -> Said {
        let mut command = env.command(&["doctor", "--runtime", "docker"]);
        command.env("DOCKER_HOST", host).output().unwrap().into()
    };
    let said = doctor("unix:///no.sock").with_code(69);
    assert!(said.stdout.contains("there is no /no.sock"), "{}", said.stdout);
    assert!(said.stdout.contains("apt install docker.io"), "{}", said.stdout);
    // A socket that nobody listens at any more.
    let dead = env.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let said = doctor(&format!("unix://{}", dead.display())).with_code(69);
    if env.home().account().is_some() {
        // Made by root, for root.
        std::fs::set_permissions(&dead, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let said = doctor(&format!("unix://{}", dead.display())).with_code(69);
        assert!(said.stdout.contains("may not use"), "{}", said.stdout);
        assert!(said.stdout.contains("usermod -aG docker"), "{}", said.stdout);
    } else {
        assert!(said.stdout.contains("systemctl start docker"), "{}", said.stdout);
    }
    assert!(env.smelt(&["doctor", "--runtime", "docker"]).with_code(0).stdout.contains("API 1."));
}

#[test]
fn an_image_that_is_not_there_is_told_with_its_fix() {
    let env = TestEnv::docker();
    let manifest = env.manifest("job", "true", &session("one", "true", ""));
    let path = manifest.to_str().unwrap();
    let said = env.smelt(&["doctor", path]).with_code(0);
    assert!(said.stdout.contains("\u{2713} image: smelt-test/base"), "{}", said.stdout);
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("smelt-test/base", "smelt-test/none")).unwrap();
    let said = env.smelt(&["doctor", path]).with_code(69);
    assert!(said.stdout.contains("no image `smelt-test/none`"), "{}", said.stdout);
    assert!(said.stdout.contains("fix: build or pull it"), "{}", said.stdout);
    // One that may be pulled is not missing yet.
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("pull = \"never\"\n", "")).unwrap();
    amend(&manifest, "[environment]", "pull = \"missing\"");
    let said = env.smelt(&["doctor", path]).with_code(0);
    assert!(said.stdout.contains("it is pulled when the job runs"), "{}", said.stdout);
}
