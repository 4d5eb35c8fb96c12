//! Pods whose commands run for real, in a jail.

mod exec;
mod gone;
mod life;
mod shell;

/// The contract, but for what is a cluster's own: its walls and limits, and that nothing is kept.
macro_rules! contract_of_pods {
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
            }
            life::{
                a_runtime_that_works_says_so,
                destroying_leaves_nothing_and_may_be_done_again,
                orphans_are_listed_and_reaped_by_label,
                what_it_can_not_do_is_refused_and_leaves_nothing,
            }
        }
    };
}

mod version_5 {
    fn subject() -> crate::contract::Subject {
        crate::cluster::speaking(smelt_testing_kubernetes::Protocol::V5)
    }
    contract_of_pods!(super::subject);
}

mod version_4 {
    fn subject() -> crate::contract::Subject {
        crate::cluster::speaking(smelt_testing_kubernetes::Protocol::V4)
    }
    contract_of_pods!(super::subject);
}
