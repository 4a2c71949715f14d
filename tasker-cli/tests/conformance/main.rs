//! What every worker has to do, whatever language it is written in: the workflows of
//! `workers/conformance`, and what happens to its process while it has steps in hand.
//!
//! Each test runs the orchestrator of the built binary and workers as processes of their own, and
//! ends with a clean stop and a healthy `tasker doctor`.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod expected;
mod fleet;
mod language;
mod lifecycle;
mod order;
mod python_package;
mod ruby_package;
mod workflows;
#[allow(
    dead_code,
    reason = "the file is shared with the system tests, which use the rest of it"
)]
#[path = "../system/world.rs"]
mod world;

/// The same tests for each of the languages in `language::LANGUAGES`.
macro_rules! every_worker {
    ($($language:ident),+) => { $(
        mod $language {
            use crate::language::Language;
            use crate::{lifecycle, workflows};

            every_worker!(@tests stringify!($language),
                workflows::end_as_they_should,
                lifecycle::a_step_whose_handler_nobody_knows_waits_and_costs_no_attempt,
                lifecycle::a_worker_that_drains_ends_what_it_runs_and_leaves_the_rest,
                lifecycle::a_handler_that_outlasts_the_drain_is_tried_again_at_once,
                lifecycle::a_handler_that_outlasts_its_lease_keeps_it_even_where_it_blocks_the_others,
                lifecycle::the_steps_of_a_worker_that_is_killed_are_run_by_another,
                lifecycle::an_outcome_survives_that_the_database_is_away,
                lifecycle::a_second_signal_stops_at_once,
                lifecycle::a_worker_shows_among_the_processes_until_it_leaves
            );
        }
    )+ };
    (@tests $language:expr, $($module:ident :: $claim:ident),+) => { $(
        #[tokio::test]
        async fn $claim() {
            if let Some(language) = Language::named($language) {
                $module::$claim(language).await;
            }
        }
    )+ };
}

every_worker!(rust, python, ruby);
