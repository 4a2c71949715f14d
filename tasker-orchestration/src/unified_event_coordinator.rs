//! Keeps the loops of an orchestrator running, and stops them in order.
//!
//! What a loop that panicked held in its hands may be lost, so everything is looked at after each
//! restart.

use std::time::Duration;

use tasker_shared::config::SupervisorConfig;
use tasker_shared::supervisor::{ComponentHealth, Supervised, Supervisor};
use tokio_util::sync::CancellationToken;

use crate::wakeups::Wakeups;

/// How long the loops of one stage get to end by themselves: longer than any call of a healthy
/// database takes, shorter than supervisors of processes wait.
const STAGE_STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// When a loop is stopped, in order: those that find work first, so that nothing is sent to one that
/// is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Discovery,
    Events,
    Commands,
}

/// Supervises the loops of one orchestrator, stage by stage.
pub(crate) struct UnifiedEventCoordinator {
    stages: [StagedLoops; 3],
}

struct StagedLoops {
    stop: CancellationToken,
    loops: Supervisor,
}

impl UnifiedEventCoordinator {
    /// Supervises loops that have no reason to end before `shutdown`.
    pub(crate) fn new(
        config: &SupervisorConfig,
        wakeups: &Wakeups,
        shutdown: &CancellationToken,
    ) -> Self {
        let stage = |_| {
            let wakeups = wakeups.clone();
            let loops = Supervisor::new(config, shutdown.clone());
            StagedLoops {
                stop: CancellationToken::new(),
                loops: loops.after_restart(move || wakeups.wake_all()),
            }
        };
        let stages = [Stage::Discovery, Stage::Events, Stage::Commands];
        Self {
            stages: stages.map(stage),
        }
    }

    /// Starts a loop, which has to end when the token is cancelled.
    pub(crate) fn start<S: Supervised + 'static>(
        &mut self,
        stage: Stage,
        make: impl FnOnce(CancellationToken) -> S,
    ) {
        let StagedLoops { stop, loops } = &mut self.stages[stage as usize];
        loops.start(make(stop.clone()));
    }

    /// The state of every loop.
    pub(crate) fn health(&self) -> impl Iterator<Item = ComponentHealth> {
        self.stages.iter().flat_map(|stage| stage.loops.health())
    }

    /// Makes a loop panic; false where it does not run.
    pub(crate) fn make_panic(&self, name: &str) -> bool {
        self.stages.iter().any(|stage| stage.loops.make_panic(name))
    }

    /// Stops the loops, stage by stage. One that does not end in time is ended.
    pub(crate) async fn stop(&self) {
        for StagedLoops { stop, loops } in &self.stages {
            stop.cancel();
            loops.end_within(STAGE_STOP_TIMEOUT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use tasker_shared::config::EventSystemsConfig;
    use tasker_shared::supervisor::ComponentState;
    use tokio::sync::watch;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn coordinator(shutdown: &CancellationToken, wakeups: &Wakeups) -> UnifiedEventCoordinator {
        let config = EventSystemsConfig::default().supervisor;
        UnifiedEventCoordinator::new(&config, wakeups, shutdown)
    }

    /// A loop that is to stop after so many others.
    struct NthToStop {
        position: u32,
        stopped: Arc<AtomicU32>,
        stop: CancellationToken,
    }

    impl Supervised for NthToStop {
        const NAME: &'static str = "nth_to_stop";

        async fn run(&mut self) {
            self.stop.cancelled().await;
            // Others of a later stage would be done by the time this one is.
            sleep(Duration::from_secs(1)).await;
            assert_eq!(self.stopped.fetch_add(1, SeqCst), self.position);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn loops_are_stopped_stage_by_stage() {
        let shutdown = CancellationToken::new();
        let stopped = Arc::new(AtomicU32::new(0));
        let mut coordinator = coordinator(&shutdown, &Wakeups::default());
        for (stage, position) in [
            (Stage::Commands, 2),
            (Stage::Events, 1),
            (Stage::Discovery, 0),
        ] {
            let stopped = Arc::clone(&stopped);
            coordinator.start(stage, |stop| NthToStop {
                position,
                stopped,
                stop,
            });
        }

        shutdown.cancel();
        coordinator.stop().await;

        assert_eq!(stopped.load(SeqCst), 3);
        let all_ended = coordinator
            .health()
            .all(|it| it.state == ComponentState::Stopped && it.restarts == 0);
        assert!(all_ended, "{:?}", coordinator.health().collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_looked_at_after_a_loop_panicked() {
        let (shutdown, wakeups) = (CancellationToken::new(), Wakeups::default());
        let (_sender, gone) = watch::channel(false);
        let mut coordinator = coordinator(&shutdown, &wakeups);
        coordinator.start(Stage::Events, |_stop| Receives(gone));

        assert!(coordinator.make_panic(Receives::NAME));

        let woken = async { tokio::join!(wakeups.ready_tasks(), wakeups.timers()) };
        let minute = Duration::from_mins(1);
        timeout(minute, woken).await.expect("everything is woken");
    }

    /// Tells that it is gone a second before it is.
    struct Sends(watch::Sender<bool>, CancellationToken);

    impl Supervised for Sends {
        const NAME: &'static str = "sends";

        async fn run(&mut self) {
            self.1.cancelled().await;
            self.0.send_replace(true);
            // The next stage is stopped only after this one has ended.
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends with its sender.
    struct Receives(watch::Receiver<bool>);

    impl Supervised for Receives {
        const NAME: &'static str = "receives";

        async fn run(&mut self) {
            drop(self.0.wait_for(|is_gone| *is_gone).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ends_with_its_senders_while_all_stop_is_not_started_again() {
        let shutdown = CancellationToken::new();
        let (is_gone, gone) = watch::channel(false);
        let mut coordinator = coordinator(&shutdown, &Wakeups::default());
        coordinator.start(Stage::Discovery, |stop| Sends(is_gone, stop));
        coordinator.start(Stage::Events, |_stop| Receives(gone));

        shutdown.cancel();
        coordinator.stop().await;

        assert_eq!(coordinator.health().map(|it| it.restarts).sum::<u64>(), 0);
    }
}
