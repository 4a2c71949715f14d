//! Notices when a notification was missed: polling discovered a task that it should have announced.
//!
//! PostgreSQL loses notifications by contract, and so do processes that are killed between a commit
//! and its announcement. Polling makes that good, and hides it. A claim takes whatever is ready,
//! whatever asked for it. So a task was missed if the processor had claimed all there was, only
//! polling woke it again, and the task had already been ready for long. Work that merely waits its
//! turn behind other work is never counted, because then the processor is not idle.

use std::time::Duration;

use tasker_shared::config::OrchestrationConfig;
use tasker_shared::readiness::ClaimedTask;
use tasker_shared::telemetry::metrics;
use tokio::time::Instant;
use tracing::warn;

/// Misses of one episode that are logged one by one.
const LOGGED_PER_EPISODE: u32 = 5;

/// Time without a miss after which the next one begins another episode.
const EPISODE_ENDS_AFTER: Duration = Duration::from_mins(5);

/// Counts, times and logs what polling discovered in place of a notification.
#[derive(Debug)]
pub(crate) struct PgNotifyMonitor {
    /// How long a task has been ready when its notification counts as lost.
    threshold: Duration,
    /// When polling woke an idle processor, while its claims go on.
    polled_at: Option<Instant>,
    episode: Episode,
}

impl PgNotifyMonitor {
    pub(crate) fn new(config: &OrchestrationConfig) -> Self {
        let readiness = &config.task_readiness;
        let threshold = if config.deployment.mode.listens() {
            // Polling takes nothing younger, and this process would have heard of it.
            readiness.age_threshold
        } else {
            // Others listen, or nobody.
            readiness.miss_threshold
        };
        Self {
            threshold,
            polled_at: None,
            episode: Episode::default(),
        }
    }

    /// The idle processor was woken, by polling alone or by anything else.
    pub(crate) fn woken(&mut self, by_polling: bool) {
        self.polled_at = by_polling.then(Instant::now);
    }

    /// Tasks were claimed since the processor was woken.
    pub(crate) fn claimed(&mut self, tasks: &[ClaimedTask]) {
        metrics().tasks_ready(tasks.len() as u64);
        for task in tasks {
            let ready_for = task.ready_for();
            if self.is_missed(ready_for) {
                metrics().task_discovered_by_polling(ready_for);
                self.episode.log(task, ready_for);
            }
        }
    }

    /// Whether a task that had been ready for this long, and was claimed now, was missed. What became
    /// ready while earlier claims ran was not there to be discovered.
    fn is_missed(&self, ready_for: Duration) -> bool {
        self.polled_at.is_some_and(|polled_at| {
            ready_for
                .checked_sub(polled_at.elapsed())
                .is_some_and(|ready_when_polled| ready_when_polled >= self.threshold)
        })
    }
}

/// Misses that follow one another.
#[derive(Debug, Default)]
struct Episode {
    misses: u32,
    last: Option<Instant>,
}

/// What the log says of a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Which task it was.
    Task,
    /// That there are more.
    More,
    Nothing,
}

impl Episode {
    fn log(&mut self, task: &ClaimedTask, ready_for: Duration) {
        match self.miss() {
            Line::Task => warn!(
                task_uuid = %task.task_uuid,
                namespace = task.namespace,
                ?ready_for,
                "polling discovered a task that no notification announced"
            ),
            Line::More => warn!(
                task_uuid = %task.task_uuid,
                namespace = task.namespace,
                ?ready_for,
                "notifications of more tasks are missed; tasks_discovered_by_polling counts them"
            ),
            Line::Nothing => {}
        }
    }

    fn miss(&mut self) -> Line {
        let now = Instant::now();
        if self.last.is_none_or(|last| now - last > EPISODE_ENDS_AFTER) {
            self.misses = 0;
        }
        self.last = Some(now);
        self.misses = self.misses.saturating_add(1);
        match self.misses {
            ..=LOGGED_PER_EPISODE => Line::Task,
            misses if misses == LOGGED_PER_EPISODE + 1 => Line::More,
            _ => Line::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use tasker_shared::config::{DeploymentMode, TaskerConfig};
    use tokio::time::advance;

    use super::*;

    fn threshold(mode: DeploymentMode) -> Duration {
        let mut config = TaskerConfig::default().orchestration;
        config.deployment.mode = mode;
        config.task_readiness.age_threshold = Duration::from_secs(3);
        config.task_readiness.miss_threshold = Duration::from_secs(40);
        PgNotifyMonitor::new(&config).threshold
    }

    #[test]
    fn where_nobody_listens_only_what_waited_for_longer_was_missed() {
        for mode in [DeploymentMode::Hybrid, DeploymentMode::EventDrivenOnly] {
            assert_eq!(threshold(mode), Duration::from_secs(3), "{mode}");
        }
        let polling = threshold(DeploymentMode::PollingOnly);
        assert_eq!(polling, Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_ready_for_long_when_polling_woke_the_processor_was_missed() {
        let mut config = TaskerConfig::default().orchestration;
        config.task_readiness.age_threshold = Duration::from_secs(3);
        let mut monitor = PgNotifyMonitor::new(&config);
        let long = Duration::from_secs(8);
        assert!(!monitor.is_missed(long));

        monitor.woken(true);
        assert!(monitor.is_missed(long));
        assert!(!monitor.is_missed(Duration::from_secs(2)));
        advance(Duration::from_secs(6)).await;
        assert!(!monitor.is_missed(long));

        monitor.woken(false);
        assert!(!monitor.is_missed(long));
    }

    #[tokio::test(start_paused = true)]
    async fn an_episode_logs_a_few_tasks_and_then_once_that_there_are_more() {
        let mut episode = Episode::default();
        for _ in 0..2 {
            let mut lines: Vec<_> = (0..100).map(|_| episode.miss()).collect();
            let silent = lines.split_off(6);
            assert_eq!(lines[..5], [Line::Task; 5]);
            assert_eq!(lines[5], Line::More);
            assert!(silent.iter().all(|line| *line == Line::Nothing));

            advance(EPISODE_ENDS_AFTER).await;
            assert_eq!(episode.miss(), Line::Nothing);
            advance(EPISODE_ENDS_AFTER + Duration::from_millis(1)).await;
        }
    }
}
