//! Notices when a notification was missed: polling discovered a task that it should have announced.
//!
//! PostgreSQL loses notifications by contract, and so do processes that are killed between a commit
//! and its announcement. Polling makes that good, and hides it. A claim takes whatever is ready,
//! whatever asked for it. So a task was missed if the processor had claimed all there was, only
//! polling woke it again, and the task had already been ready for long. Work that merely waits its
//! turn behind other work is never counted, because then the processor is not idle.
//!
//! A process that does not listen is idle between its polls, whatever others do. Where others listen
//! it therefore looks twice, a moment apart: what they work on does not stand still.

use std::time::Duration;

use sqlx::PgConnection;
use tasker_shared::config::OrchestrationConfig;
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::ids::TaskUuid;
use tasker_shared::processes::has_listener;
use tasker_shared::readiness::{ClaimedTask, find_ready_tasks_of};
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

/// Time in which listening orchestrators claim some of the most urgent tasks, if they know of them.
const STANDSTILL: Duration = Duration::from_millis(500);

/// Tasks that are looked at twice.
const LOOKED_AT: i32 = 50;

/// Misses of one episode that are logged one by one.
const LOGGED_PER_EPISODE: u32 = 5;

/// Time without a miss after which the next one begins another episode.
const EPISODE_ENDS_AFTER: Duration = Duration::from_mins(5);

/// Counts, times and logs what polling discovered in place of a notification.
#[derive(Debug)]
pub(crate) struct PgNotifyMonitor {
    /// How long a task has been ready when its notification counts as lost.
    threshold: Duration,
    listens: bool,
    namespaces: Vec<String>,
    /// How polling woke the idle processor, while its claims go on.
    polled: Option<Polled>,
    episode: Episode,
}

/// What was known when polling woke the idle processor.
#[derive(Debug)]
struct Polled {
    at: Instant,
    /// Whether no notification had woken a listener; `None` until it is known.
    unannounced: Option<bool>,
}

impl PgNotifyMonitor {
    pub(crate) fn new(config: &OrchestrationConfig) -> Self {
        let readiness = &config.task_readiness;
        let listens = config.deployment.mode.listens();
        Self {
            threshold: if listens {
                readiness.age_threshold
            } else {
                readiness.miss_threshold
            },
            listens,
            namespaces: config.namespaces.clone(),
            polled: None,
            episode: Episode::default(),
        }
    }

    /// The idle processor was woken, by polling alone or by anything else.
    pub(crate) fn woken(&mut self, by_polling: bool) {
        self.polled = by_polling.then(|| Polled {
            at: Instant::now(),
            unannounced: self.listens.then_some(true),
        });
    }

    /// A claim is about to be made: what others do has to be known by then.
    pub(crate) async fn before_claim(&mut self, connection: &mut DedicatedConnection) {
        let Some(polled) = &mut self.polled else {
            return;
        };
        if polled.unannounced.is_some() {
            return;
        }
        let (threshold, namespaces) = (self.threshold, &self.namespaces);
        let stood_still = connection.call("stands_still", async |connection| {
            stands_still(connection, threshold, namespaces).await
        });
        let stood_still = stood_still.await.inspect_err(|error| {
            // The claim will say it louder.
            debug!(%error, "could not tell whether notifications were missed");
        });
        polled.unannounced = Some(stood_still.unwrap_or(false));
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
        let Some(polled) = &self.polled else {
            return false;
        };
        let ready_when_polled = ready_for.checked_sub(polled.at.elapsed());
        polled.unannounced == Some(true) && ready_when_polled >= Some(self.threshold)
    }
}

/// Whether others listen, and yet claim nothing of the most urgent tasks that have been ready for this
/// long.
async fn stands_still(
    connection: &mut PgConnection,
    ready_for: Duration,
    namespaces: &[String],
) -> Result<bool, Error> {
    let first = most_urgent(connection, ready_for, namespaces).await?;
    if first.is_empty() || !has_listener(connection, namespaces).await? {
        return Ok(false);
    }
    sleep(STANDSTILL).await;
    let second = most_urgent(connection, ready_for, namespaces).await?;
    Ok(first.iter().all(|task| second.contains(task)))
}

async fn most_urgent(
    connection: &mut PgConnection,
    ready_for: Duration,
    namespaces: &[String],
) -> Result<Vec<TaskUuid>, Error> {
    let tasks = find_ready_tasks_of(connection, ready_for, LOOKED_AT, namespaces).await?;
    Ok(tasks.into_iter().map(|task| task.task_uuid).collect())
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
    use tasker_shared::processes::{Process, Role, register};
    use tasker_shared::readiness::claim_ready_tasks;
    use tasker_shared::template::Template;
    use tasker_shared::templates::apply_template;
    use tasker_testing::TestDatabase;
    use tokio::time::advance;
    use uuid::Uuid;

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

    #[tokio::test]
    async fn what_others_work_on_does_not_stand_still() {
        let db = TestDatabase::create().await;
        let mut ours = db.connect().await;
        let mut theirs = db.connect().await;
        let listener = Process {
            identity: "listener".to_owned(),
            role: Role::Orchestrator,
            mode: DeploymentMode::Hybrid,
            namespaces: Vec::new(),
            handlers: Vec::new(),
        };
        register(&mut ours, Uuid::now_v7(), &listener, None, Duration::ZERO)
            .await
            .unwrap();
        let template =
            "{ namespace: shop, name: one, version: 1.0.0, steps: [{ name: a, handler: b.c }] }";
        let template = Template::parse_yaml(template).unwrap();
        apply_template(&mut ours, &template).await.unwrap();
        sqlx::query("select tasker.submit_task('shop', 'one', '{}') from generate_series(1, 400)")
            .execute(&mut ours)
            .await
            .unwrap();
        let now = Duration::ZERO;
        assert!(stands_still(&mut ours, now, &[]).await.unwrap());
        let long = Duration::from_hours(1);
        assert!(!stands_still(&mut ours, long, &[]).await.unwrap());

        // One at a time, so that the first query comes long before the last claim.
        let claims = async {
            while !claim_ready_tasks(&mut theirs, "listener", 1)
                .await
                .unwrap()
                .is_empty()
            {}
        };
        let (still, ()) = tokio::join!(stands_still(&mut ours, now, &[]), claims);
        assert!(!still.unwrap());
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
