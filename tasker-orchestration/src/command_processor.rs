//! Carries out commands: whatever they say about ready tasks, the answer is to claim what is ready.
//!
//! Commands that arrive while a claim runs are one more claim after it, so the more there is to do
//! the more each call does. One call is made at a time; between two, what arrived is looked at.

use std::time::Duration;

use tasker_shared::backoff::Backoff;
use tasker_shared::channel::Receiver;
use tasker_shared::outage::Outage;
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::trace;

use crate::commands::OrchestrationCommand;
use crate::engine::Engine;
use crate::pg_notify_monitor::PgNotifyMonitor;
use crate::task_claim_step_enqueuer::{Claimed, TaskClaimStepEnqueuer};

/// Commands merged before the next claim.
const COMMANDS_PER_LOOK: usize = 1000;

/// First and longest pause before a claim that comes back for what the last one left out because
/// another transaction held it: most hold it for milliseconds, a person for minutes.
const LEFT_OUT_MIN: Duration = Duration::from_millis(10);
const LEFT_OUT_MAX: Duration = Duration::from_millis(500);

/// When the next claim has to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextClaim {
    /// When something asks for it.
    OnDemand,
    /// At once.
    Now,
    /// Not before this moment, whatever asks for it: the last one failed.
    At(Instant),
    /// At this moment, or when something asks for it: the last one had to leave out something.
    By(Instant),
}

impl NextClaim {
    fn ask(&mut self) {
        if matches!(self, Self::OnDemand | Self::By(_)) {
            *self = Self::Now;
        }
    }
}

/// Why the loop woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// Commands are there.
    Commands,
    /// Something asks for a look without a command: the start, a restart, a full channel.
    Asked,
    /// The last claim did not take all that was ready.
    MoreReady,
    /// The last claim failed or left out something, and the pause after it is over.
    Retry,
    /// The orchestrator stops.
    Stopped,
}

/// The loop that processes commands.
pub(crate) struct CommandProcessor {
    commands: Receiver<OrchestrationCommand>,
    engine: Engine,
    enqueuer: TaskClaimStepEnqueuer,
    monitor: PgNotifyMonitor,
    outage: Outage,
    left_out: Backoff,
    stop: CancellationToken,
}

impl CommandProcessor {
    pub(crate) fn new(
        commands: Receiver<OrchestrationCommand>,
        engine: &Engine,
        enqueuer: TaskClaimStepEnqueuer,
        monitor: PgNotifyMonitor,
        stop: CancellationToken,
    ) -> Self {
        Self {
            commands,
            engine: engine.clone(),
            enqueuer,
            monitor,
            outage: engine.outages.outage(Self::NAME, "claim ready steps"),
            left_out: Backoff::new(LEFT_OUT_MIN, LEFT_OUT_MAX),
            stop,
        }
    }

    async fn claim(&mut self) -> NextClaim {
        match self.enqueuer.claim(&mut self.monitor).await {
            Ok(claimed) => {
                self.outage.over();
                self.enqueuer.discard_dead_rows().await;
                if claimed != Claimed::NotAll {
                    self.left_out.reset();
                }
                match claimed {
                    Claimed::Full => NextClaim::Now,
                    Claimed::All => NextClaim::OnDemand,
                    Claimed::NotAll => NextClaim::By(Instant::now() + self.left_out.pause()),
                }
            }
            Err(error) => NextClaim::At(Instant::now() + self.outage.failed(&error)),
        }
    }
}

impl Supervised for CommandProcessor {
    const NAME: &'static str = "command_processor";

    async fn run(&mut self) {
        let mut batch = Vec::new();
        let mut next = NextClaim::OnDemand;
        loop {
            let wake = tokio::select! {
                biased;
                () = self.stop.cancelled() => Wake::Stopped,
                wake = receive(&mut self.commands, &mut batch) => wake,
                () = self.engine.wakeups.ready_tasks() => Wake::Asked,
                wake = due(next) => wake,
            };
            count(wake, &batch);
            if next == NextClaim::OnDemand {
                let announced = batch.iter().any(OrchestrationCommand::is_announced);
                self.monitor.woken(wake == Wake::Commands && !announced);
            }
            match wake {
                Wake::Stopped => return,
                Wake::Commands => {}
                Wake::Asked => next.ask(),
                Wake::MoreReady | Wake::Retry => next = NextClaim::Now,
            }
            for command in batch.drain(..) {
                trace!(?command, "processing");
                match command {
                    OrchestrationCommand::ProcessTaskReadiness { .. }
                    | OrchestrationCommand::LookForReadyTasks { .. } => next.ask(),
                    OrchestrationCommand::FireTimers => self.engine.wakeups.wake_timers(),
                }
            }
            if next == NextClaim::Now {
                next = self.claim().await;
            }
        }
    }
}

async fn receive(
    commands: &mut Receiver<OrchestrationCommand>,
    batch: &mut Vec<OrchestrationCommand>,
) -> Wake {
    match commands.recv_many(batch, COMMANDS_PER_LOOK).await {
        0 => Wake::Stopped,
        _ => Wake::Commands,
    }
}

/// Returns when a claim is due without anything more being asked.
async fn due(next: NextClaim) -> Wake {
    match next {
        NextClaim::OnDemand => std::future::pending().await,
        NextClaim::Now => Wake::MoreReady,
        NextClaim::At(moment) | NextClaim::By(moment) => {
            sleep_until(moment).await;
            Wake::Retry
        }
    }
}

/// Counts why the loop woke; of merged commands, the first tells.
fn count(wake: Wake, batch: &[OrchestrationCommand]) {
    let reason = match wake {
        Wake::Commands => batch.first().map_or("none", OrchestrationCommand::cause),
        Wake::Asked => "asked",
        Wake::MoreReady => "more_ready",
        Wake::Retry => "retry",
        Wake::Stopped => "stopped",
    };
    metrics().woke("command_processor", reason);
}
