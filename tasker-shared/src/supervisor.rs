//! Keeps a loop running when a bug makes it panic.
//!
//! The state of a loop outlives its panic, so that no channel closes and nothing received is lost.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::time::{Instant, sleep};
use tracing::error;

use crate::config::SupervisorConfig;
use crate::telemetry::metrics;

/// A loop with its state.
pub trait Supervised: Send {
    /// Name in logs and metrics.
    const NAME: &'static str;

    /// Runs until there is nothing more to do. Called again after a panic.
    fn run(&mut self) -> impl Future<Output = ()> + Send;
}

/// Runs the loop to its end, through panics.
pub async fn keep_running(mut supervised: impl Supervised, config: SupervisorConfig) {
    let mut pause = config.restart_min;
    loop {
        let started = Instant::now();
        let Err(panic) = AssertUnwindSafe(run(&mut supervised)).catch_unwind().await else {
            return;
        };
        if started.elapsed() > config.restart_max {
            pause = config.restart_min;
        }
        report(&supervised, &panic_message(panic.as_ref()));
        sleep(pause).await;
        pause = (pause * 2).min(config.restart_max);
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
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
    use super::*;
    use crate::config::EventSystemsConfig;

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
