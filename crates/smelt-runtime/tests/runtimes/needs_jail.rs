//! The `local` runtime, with its workspace mounted and streamed.

use crate::contract::{Subject, sh};
use smelt_core::id::OwnerId;
use smelt_core::port::CacheSpec;
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

macro_rules! whole_contract {
    ($subject:path) => {
        $crate::contract! { $subject:
            exec::{
                exit_codes_are_exact,
                both_outputs_are_read_at_once_and_kept_apart,
                input_arrives_whole_and_its_end_is_seen,
                variables_reach_one_command_and_no_other,
                the_usual_surroundings_are_there,
                a_timeout_ends_everything_that_was_started,
                a_stop_asks_first_and_lets_the_command_clean_up,
                a_command_that_is_given_up_is_ended,
                output_that_is_refused_ends_the_command,
                commands_run_side_by_side,
                what_is_left_running_does_not_keep_a_command_from_ending,
            }
            files::{
                what_is_uploaded_is_there,
                a_hostile_archive_gets_nowhere_else,
                what_is_downloaded_is_an_archive_of_bounded_size,
                the_root_folder_is_what_the_engine_made_it,
                a_cache_is_kept_by_its_key,
            }
            life::{
                a_runtime_that_works_says_so,
                destroying_leaves_nothing_and_may_be_done_again,
                orphans_are_listed_and_reaped_by_label,
                what_it_can_not_do_is_refused_and_leaves_nothing,
            }
            walls::{
                without_a_network_nothing_is_reached,
                no_capability_is_left,
                the_host_s_own_files_are_out_of_reach,
                the_machine_s_settings_can_not_be_written,
                processes_of_the_host_are_not_seen,
                limits_hold_or_are_said_to_be_missing,
            }
        }
    };
}

mod mounted {
    fn mounted() -> crate::contract::Subject {
        super::subject(false)
    }
    whole_contract!(super::mounted);
}

mod streamed {
    fn streamed() -> crate::contract::Subject {
        super::subject(true)
    }
    whole_contract!(super::streamed);
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
    let sandbox = subject.runtime.provision(&spec).await;
    let refused = subject.runtime.provision(&subject.spec("tools = [\"/\"]")).await.err().unwrap();
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
    let sandbox = subject.runtime.provision(&spec).await.unwrap();
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
