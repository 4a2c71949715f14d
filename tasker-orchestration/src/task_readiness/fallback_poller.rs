//! Looks for ready tasks that no notification announced, and has them processed the same way.
//!
//! Where notifications arrive it looks only at what they should have announced long ago; where the
//! process does not listen it is the only one that discovers, and takes tasks of any age.

use std::time::Duration;

use tasker_shared::channel::Sender;
use tasker_shared::config::{DeploymentMode, OrchestrationConfig, TaskerConfig};
use tasker_shared::outage::Outage;
use tasker_shared::readiness::{ReadyTask, find_ready_tasks_of};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::commands::OrchestrationCommand;
use crate::engine::Engine;
use crate::task_readiness::search::Search;
use crate::wakeups::Wakeups;

/// The loop that polls, and how.
pub(crate) struct ReadinessFallbackPoller {
    search: Search,
    batch_size: i32,
    namespaces: Vec<String>,
    engine: Engine,
    outage: Outage,
    processor: Processor,
    stop: CancellationToken,
}

impl ReadinessFallbackPoller {
    pub(crate) fn new(
        config: &TaskerConfig,
        engine: &Engine,
        commands: Sender<OrchestrationCommand>,
        stop: CancellationToken,
    ) -> Self {
        let channel = &config.mpsc_channels.task_readiness.event_channel;
        let config = &config.orchestration;
        let readiness = &config.task_readiness;
        Self {
            search: search(config),
            batch_size: readiness.batch_size,
            namespaces: config.namespaces.clone(),
            engine: engine.clone(),
            outage: engine.outages.outage(Self::NAME, "poll for ready tasks"),
            processor: Processor {
                commands,
                send_timeout: channel.send_timeout,
                wakeups: engine.wakeups.clone(),
            },
            stop,
        }
    }
}

impl Supervised for ReadinessFallbackPoller {
    const NAME: &'static str = "fallback_poller";

    async fn run(&mut self) {
        let (database, search) = (&self.engine.database, self.search);
        let look = || async {
            // One query suffices however much is ready: one command makes the processor claim all.
            let found = database.call("find_ready_tasks", async |connection| {
                let (age, limit) = (search.older_than, self.batch_size);
                find_ready_tasks_of(connection, age, limit, &self.namespaces).await
            });
            let found = found.await?;
            metrics().fallback_polled(found.len() as u64);
            self.processor.process(found).await;
            Ok(search.pause())
        };
        let outage = &mut self.outage;
        outage.look_after(search.pause(), look, &self.stop).await;
    }
}

/// How to look where this is configured.
fn search(config: &OrchestrationConfig) -> Search {
    let readiness = &config.task_readiness;
    let age_threshold = match config.deployment.mode {
        DeploymentMode::PollingOnly => Duration::ZERO,
        DeploymentMode::Hybrid | DeploymentMode::EventDrivenOnly => readiness.age_threshold,
    };
    Search::within(readiness.fallback_polling_interval, age_threshold)
}

/// Where what was found goes.
struct Processor {
    commands: Sender<OrchestrationCommand>,
    /// How long a command waits for a place.
    send_timeout: Duration,
    wakeups: Wakeups,
}

impl Processor {
    /// Sends a command for each task. Where one finds no place in time, the processor is told to
    /// look instead, which serves the rest as well.
    async fn process(&self, tasks: Vec<ReadyTask>) {
        for task in tasks {
            let ready_for_ms = task.ready_for_ms;
            debug!(task_uuid = %task.task_uuid, ready_for_ms, "found by polling");
            let command = OrchestrationCommand::for_polled(task);
            match self.commands.send_timeout(command, self.send_timeout).await {
                Ok(()) => metrics().readiness_command_sent(),
                Err(_no_place) => return self.wakeups.wake_claims(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tasker_shared::ids::TaskUuid;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::channels;

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

    fn processor(config: &TaskerConfig, commands: Sender<OrchestrationCommand>) -> Processor {
        let channel = &config.mpsc_channels.task_readiness.event_channel;
        Processor {
            commands,
            send_timeout: channel.send_timeout,
            wakeups: Wakeups::default(),
        }
    }

    /// The longest time that one of many tasks, none of them announced, was ready until a look with
    /// this configuration found it.
    async fn longest_wait(config: &TaskerConfig) -> Duration {
        const TASKS: u32 = 2000;
        let search = search(&config.orchestration);
        // One every second and a bit, so that they become ready at any time between two looks.
        let began = Instant::now();
        let becoming_ready = (0..TASKS).map(|n| began + n * Duration::from_millis(1_009));
        let mut overlooked: VecDeque<_> = becoming_ready.collect();
        let (commands, mut received) = channels::commands(config);
        let stop = CancellationToken::new();
        let mut longest = Duration::ZERO;
        let mut find = || {
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
            tasks
        };
        let drained = async {
            let mut drained = 0;
            while drained < TASKS && received.recv().await.is_some() {
                drained += 1;
            }
        };
        let processor = processor(config, commands);
        let polled = async {
            let mut outage = Outage::new("poller", "look");
            let look = || {
                let found = find();
                async {
                    processor.process(found).await;
                    Ok(search.pause())
                }
            };
            outage.look_after(search.pause(), look, &stop).await;
        };
        tokio::join!(polled, drained);
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
        let processor = processor(&config, commands);
        let began = Instant::now();

        let tasks = vec![found(Duration::ZERO); 3];
        processor.process(tasks).await;

        assert_eq!(began.elapsed(), Duration::from_millis(700));
        processor.wakeups.ready_tasks().await;
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
