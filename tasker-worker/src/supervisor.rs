//! Keeps the loops of the worker running when a bug makes one panic.
//!
//! The state of a loop outlives its panic, so that no channel closes and nothing received is lost.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tasker_shared::config::SupervisorConfig;
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep};
use tracing::error;

use crate::step_runner::panic_message;

/// A loop with its state.
pub(crate) trait Supervised: Send {
    /// Name in logs and metrics.
    const NAME: &'static str;

    /// Runs until there is nothing more to do. Called again after a panic.
    fn run(&mut self) -> impl Future<Output = ()> + Send;
}

/// Runs the loop to its end, through panics.
pub(crate) async fn keep_running(mut supervised: impl Supervised, config: SupervisorConfig) {
    let mut pause = config.restart_min();
    loop {
        let started = Instant::now();
        let Err(panic) = AssertUnwindSafe(run(&mut supervised)).catch_unwind().await else {
            return;
        };
        if started.elapsed() > config.restart_max() {
            pause = config.restart_min();
        }
        report(&supervised, &panic_message(panic.as_ref()));
        sleep(pause).await;
        pause = (pause * 2).min(config.restart_max());
    }
}

async fn run(supervised: &mut impl Supervised) {
    supervised.run().await;
}

fn report<S: Supervised>(_: &S, panic: &str) {
    error!(name = S::NAME, panic, "a loop panicked; starting it again");
    metrics().supervised_restart(S::NAME);
}

#[cfg(test)]
mod tests {
    use tasker_shared::config::EventSystemsConfig;

    use super::*;

    struct PanicsTwice {
        runs: u32,
        ended: tokio::sync::oneshot::Sender<u32>,
    }

    struct Shell(Option<PanicsTwice>);

    impl Supervised for Shell {
        const NAME: &'static str = "panics_twice";

        async fn run(&mut self) {
            let state = self.0.as_mut().expect("run is not called after its end");
            state.runs += 1;
            assert!(state.runs > 2, "panics on purpose");
            let state = self.0.take().expect("it was there");
            state.ended.send(state.runs).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_is_started_again_with_its_state() {
        let (ended, runs) = tokio::sync::oneshot::channel();
        let shell = Shell(Some(PanicsTwice { runs: 0, ended }));

        keep_running(shell, EventSystemsConfig::default().supervisor).await;

        assert_eq!(runs.await, Ok(3));
    }
}
