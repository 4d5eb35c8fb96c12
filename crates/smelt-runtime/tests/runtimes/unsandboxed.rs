//! The `local` runtime where no jail can be made and that was accepted: commands run as they should
//! all the same, and the missing walls are said.

use crate::contract::Subject;
use crate::needs_jail::local;
use smelt_core::id::OwnerId;
use smelt_core::port::{Discard, Runtime, SandboxError};

/// A `PATH` without bubblewrap.
fn path_without_jail(folder: &std::path::Path) -> std::ffi::OsString {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for from in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for program in std::fs::read_dir(from).into_iter().flatten().flatten() {
            let link = bin.join(program.file_name());
            if program.file_name() != "bwrap" && !link.is_symlink() {
                std::os::unix::fs::symlink(program.path(), link).unwrap();
            }
        }
    }
    bin.into_os_string()
}

fn subject() -> Subject {
    let links = tempfile::tempdir().unwrap();
    let (runtime, folder) = local(path_without_jail(links.path()), true);
    // The links live as long as the subject does.
    std::mem::forget(links);
    let (environment, owner) = ("runtime = \"local\"", OwnerId::random());
    Subject { runtime: Box::new(runtime), environment, folder, owner }
}

crate::contract! { super::subject:
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
        what_is_downloaded_is_an_archive_of_bounded_size,
        the_root_folder_is_what_the_engine_made_it,
    }
    life::{
        destroying_leaves_nothing_and_may_be_done_again,
        orphans_are_listed_and_reaped_by_label,
        what_it_can_not_do_is_refused_and_leaves_nothing,
    }
}

#[tokio::test]
async fn it_is_refused_unless_accepted_and_then_said_loudly() {
    let subject = subject();
    let sandbox = subject.sandbox().await;
    assert!(sandbox.isolation().unsandboxed);
    assert!(sandbox.isolation().gaps[0].starts_with("NO SANDBOX"));
    let links = tempfile::tempdir().unwrap();
    let (runtime, _folder) = local(path_without_jail(links.path()), false);
    let refused = runtime.provision(&subject.spec(""), &mut Discard).await.err().unwrap();
    let SandboxError::Unavailable { message, hint } = refused else { panic!("{refused}") };
    assert!(message.contains("not installed"), "{message}");
    assert!(hint.unwrap().contains("unsandboxed = true"));
    assert!(runtime.provision(&subject.spec("unsandboxed = true"), &mut Discard).await.is_ok());
    assert!(runtime.check().await.missing().is_some());
}
