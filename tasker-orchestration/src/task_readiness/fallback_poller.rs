//! Looks for ready tasks that no notification announced, and has them processed the same way.
//!
//! Where notifications arrive it looks only at what they should have announced long ago; where the
//! process does not listen it is the only one that discovers, and takes tasks of any age.

use std::time::Duration;

use tasker_shared::channel::{NotSent, Sender};
use tasker_shared::config::{DeploymentMode, TaskerConfig};
use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tasker_shared::readiness::{ReadyTask, find_ready_tasks_of};
use tasker_shared::telemetry::metrics;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::commands::OrchestrationCommand;
use crate::engine::Engine;
use crate::task_readiness::search::Search;
use crate::wakeups::Wakeups;

/// How the poller looks.
#[derive(Debug, Clone)]
pub(crate) struct ReadinessFallbackPoller {
    search: Search,
    batch_size: i32,
    namespaces: Vec<String>,
    send_timeout: Duration,
}

impl ReadinessFallbackPoller {
    pub(crate) fn new(config: &TaskerConfig) -> Self {
        let channel = &config.mpsc_channels.task_readiness.event_channel;
        let config = &config.orchestration;
        let readiness = &config.task_readiness;
        let age_threshold = match config.deployment.mode {
            DeploymentMode::PollingOnly => Duration::ZERO,
            DeploymentMode::Hybrid | DeploymentMode::EventDrivenOnly => readiness.age_threshold,
        };
        Self {
            search: Search::within(readiness.fallback_polling_interval, age_threshold),
            batch_size: readiness.batch_size,
            namespaces: config.namespaces.clone(),
            send_timeout: channel.send_timeout,
        }
    }

    /// Polls until `stop`.
    pub(crate) async fn run(
        self,
        engine: &Engine,
        commands: &Sender<OrchestrationCommand>,
        stop: CancellationToken,
    ) {
        let outage = Outage::new(
            "poll for ready tasks",
            engine.backoff,
            engine.vitals.outage_of("fallback_poller"),
        );
        let find = || self.find_ready_tasks(engine);
        let processor = Processor {
            commands,
            send_timeout: self.send_timeout,
            wakeups: &engine.wakeups,
        };
        poll(self.search, outage, find, processor, stop).await;
    }

    /// One query suffices however much is ready: one command makes the processor claim all of it.
    async fn find_ready_tasks(&self, engine: &Engine) -> Result<Vec<ReadyTask>, Error> {
        let found = engine
            .database
            .call("find_ready_tasks", async |connection| {
                let (age, limit) = (self.search.older_than, self.batch_size);
                find_ready_tasks_of(connection, age, limit, &self.namespaces).await
            })
            .await?;
        engine.vitals.database_answered();
        metrics().fallback_polled(found.len() as u64);
        Ok(found)
    }
}

/// Where what was found goes.
struct Processor<'a> {
    commands: &'a Sender<OrchestrationCommand>,
    /// How long a command waits for a place.
    send_timeout: Duration,
    wakeups: &'a Wakeups,
}

/// Polls, and has what was found processed, until `stop`.
async fn poll<F>(
    search: Search,
    mut outage: Outage,
    mut find: impl FnMut() -> F,
    processor: Processor<'_>,
    stop: CancellationToken,
) where
    F: Future<Output = Result<Vec<ReadyTask>, Error>>,
{
    let (mut pause, mut reason) = (search.pause(), "interval");
    loop {
        tokio::select! {
            () = sleep(pause) => metrics().woke("fallback_poller", reason),
            () = stop.cancelled() => return,
        }
        (pause, reason) = match find().await {
            Ok(tasks) => {
                outage.over();
                if processor.process(tasks).await.is_err() {
                    return;
                }
                (search.pause(), "interval")
            }
            Err(error) => (outage.failed(&error), "retry"),
        };
    }
}

/// The command processor is gone.
struct Gone;

impl Processor<'_> {
    /// Sends a command for each task. Where one finds no place in time, the processor is told to
    /// look instead, which serves the rest as well.
    async fn process(&self, tasks: Vec<ReadyTask>) -> Result<(), Gone> {
        for task in tasks {
            let ready_for_ms = task.ready_for_ms;
            debug!(task_uuid = %task.task_uuid, ready_for_ms, "found by polling");
            let command = OrchestrationCommand::for_polled(task);
            match self.commands.send_timeout(command, self.send_timeout).await {
                Ok(()) => metrics().readiness_command_sent(),
                Err(NotSent::Closed(_)) => return Err(Gone),
                Err(_no_place) => {
                    self.wakeups.wake_claims();
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::ready;

    use tasker_shared::ids::TaskUuid;
    use tasker_shared::outage::OutageWatch;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::channels;
    use tasker_shared::backoff::Backoff;

    /// A task that the database answers.
    fn found(ready_for: Duration) -> ReadyTask {
        ReadyTask {
            task_uuid: TaskUuid(Uuid::nil()),
            namespace: "shop".to_owned(),
            priority: 0,
            ready_steps: 1,
            ready_for_ms: ready_for.as_secs_f64() * 1000.0,
        }
    }

    /// The longest time that one of many tasks, none of them announced, was ready until a look with
    /// this configuration found it.
    async fn longest_wait(config: &TaskerConfig) -> Duration {
        const TASKS: u32 = 2000;
        let poller = ReadinessFallbackPoller::new(config);
        let search = poller.search;
        // One every second and a bit, so that they become ready at any time between two looks.
        let began = Instant::now();
        let becoming_ready = (0..TASKS).map(|n| began + n * Duration::from_millis(1_009));
        let mut overlooked: VecDeque<_> = becoming_ready.collect();
        let (commands, mut received) = channels::commands(config);
        let stop = CancellationToken::new();
        let mut longest = Duration::ZERO;
        let look = || {
            let mut tasks = Vec::new();
            while let Some(ready_at) = overlooked.front() {
                let ready_for = Instant::now().saturating_duration_since(*ready_at);
                if ready_for < search.older_than || Instant::now() < *ready_at {
                    break;
                }
                longest = longest.max(ready_for);
                tasks.push(found(ready_for));
                overlooked.pop_front();
            }
            if overlooked.is_empty() {
                stop.cancel();
            }
            ready(Ok(tasks))
        };
        let backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        let outage = Outage::new("look", backoff, OutageWatch::default());
        let drained = async {
            let mut drained = 0;
            while drained < TASKS && received.recv().await.is_some() {
                drained += 1;
            }
        };
        let wakeups = Wakeups::default();
        let processor = Processor {
            commands: &commands,
            send_timeout: poller.send_timeout,
            wakeups: &wakeups,
        };
        tokio::join!(poll(search, outage, look, processor, stop.clone()), drained);
        longest
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_notification_announced_is_found_within_the_interval() {
        let mut config = TaskerConfig::default();
        let bound = Duration::from_secs(30);
        for mode in [DeploymentMode::Hybrid, DeploymentMode::PollingOnly] {
            config.orchestration.deployment.mode = mode;
            let longest = longest_wait(&config).await;
            assert!(longest <= bound, "{mode}: {longest:?}");
            assert!(
                longest > bound * 3 / 4,
                "{mode}: {longest:?}, the test tests nothing"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_stays_full_turns_what_was_found_into_a_look() {
        let mut config = TaskerConfig::default();
        let orchestration = &mut config.mpsc_channels.orchestration;
        orchestration.command_processor.command_buffer_size = 1;
        let channel = &mut config.mpsc_channels.task_readiness.event_channel;
        channel.send_timeout = Duration::from_millis(700);
        let (commands, _nobody_reads) = channels::commands(&config);
        let wakeups = Wakeups::default();
        let processor = Processor {
            commands: &commands,
            send_timeout: ReadinessFallbackPoller::new(&config).send_timeout,
            wakeups: &wakeups,
        };
        let began = Instant::now();

        let tasks = vec![found(Duration::ZERO); 3];
        assert!(processor.process(tasks).await.is_ok());

        assert_eq!(began.elapsed(), Duration::from_millis(700));
        wakeups.ready_tasks().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_age_above_half_of_the_interval_is_kept_to() {
        let mut config = TaskerConfig::default();
        let readiness = &mut config.orchestration.task_readiness;
        readiness.fallback_polling_interval = Duration::from_secs(4);
        readiness.age_threshold = Duration::from_secs(10);
        let longest = longest_wait(&config).await;
        assert!(longest <= Duration::from_secs(12), "{longest:?}");
        assert!(longest >= Duration::from_secs(10), "{longest:?}");
    }
}
