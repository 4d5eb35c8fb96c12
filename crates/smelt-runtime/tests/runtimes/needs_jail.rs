//! The `local` runtime, with its workspace mounted and streamed.

use crate::contract::{Subject, sh};
use smelt_core::id::OwnerId;
use smelt_core::port::{CacheSpec, Discard};
use smelt_runtime::local::{LocalConfig, LocalRuntime};

pub fn local(
    path: std::ffi::OsString,
    accept_unsandboxed: bool,
) -> (LocalRuntime, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = LocalRuntime::new(LocalConfig {
        scratch: folder.path().join("scratch"),
        cache: folder.path().join("cache"),
        path,
        home: "/home/somebody".into(),
        accept_unsandboxed,
    });
    (runtime, folder)
}

fn subject(streaming: bool) -> Subject {
    let (runtime, folder) = local(std::env::var_os("PATH").unwrap(), false);
    let runtime = if streaming { runtime.streaming() } else { runtime };
    let (environment, owner) = ("runtime = \"local\"", OwnerId::random());
    Subject { runtime: Box::new(runtime), environment, folder, owner }
}

mod mounted {
    fn mounted() -> crate::contract::Subject {
        super::subject(false)
    }
    crate::whole_contract!(super::mounted);
}

mod streamed {
    fn streamed() -> crate::contract::Subject {
        super::subject(true)
    }
    crate::whole_contract!(super::streamed);
}

/// A tool's folder is seen at its own path, and no more of the home around it.
#[tokio::test]
async fn tools_are_seen_and_a_whole_home_is_refused() {
    let subject = subject(false);
    let tools = subject.folder.path().join("tools/bin");
    std::fs::create_dir_all(&tools).unwrap();
    std::fs::write(tools.join("greet"), "#!/bin/sh\necho hi\n").unwrap();
    std::fs::set_permissions(
        tools.join("greet"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    // Below /tmp the jail has its own: the tests' folder is reached by another way.
    let outside = std::path::Path::new("/var/tmp").join(subject.owner.as_str());
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::rename(tools.parent().unwrap(), outside.join("tools")).unwrap();
    let spec = subject.spec(&format!("tools = [\"{}/tools/bin\"]", outside.display()));
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await;
    let refused = subject
        .runtime
        .provision(&subject.spec("tools = [\"/\"]"), &mut Discard)
        .await
        .err()
        .unwrap();
    assert!(refused.to_string().contains("all of your home"), "{refused}");
    let (exit, out, _) = sh(
        &*sandbox.unwrap(),
        "greet; touch $(dirname $(command -v greet))/x 2>/dev/null && echo written; true",
    )
    .await;
    std::fs::remove_dir_all(outside).unwrap();
    assert_eq!((exit.success(), out.as_str()), (true, "hi"));
}

/// Mount points are made anew for each command, by the jail's program, which still sees the host: a
/// link in place of a folder on the way would lead there.
#[tokio::test]
async fn no_link_leads_a_mount_out_of_the_jail() {
    let subject = subject(false);
    let victim = subject.folder.path().join("victim");
    let objects = subject.folder.path().join("objects");
    std::fs::create_dir(&victim).unwrap();
    std::fs::create_dir(&objects).unwrap();
    let mut spec = subject.spec("cache = [\"~/.deep/in/cache\"]");
    spec.cache = Some(CacheSpec { key: "key".into(), paths: spec.environment.cache.clone() });
    spec.borrowed = vec![objects];
    let sandbox = subject.runtime.provision(&spec, &mut Discard).await.unwrap();
    let script = format!(
        "for folder in /smelt/objects ~/.deep ~/.deep/in ~/.deep/in/cache; do \
         mv \"$folder\" \"$folder.away\" 2>/dev/null || rmdir \"$folder\" 2>/dev/null && \
         ln -s /oldroot{} \"$folder\"; done; true",
        victim.display()
    );
    sh(&*sandbox, &script).await;
    sh(&*sandbox, "true").await;
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    assert_eq!(sh(&*sandbox, "touch ~/.deep/in/cache/x && echo kept").await.1, "kept");
    sandbox.destroy().await.unwrap();
}
