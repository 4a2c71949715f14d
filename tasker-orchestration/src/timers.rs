//! Wakes what waits for its time: retries that are due, and leases that ran out.
//!
//! Any number of orchestrators do this at once; the database lets each timer fire once. A loop
//! sleeps until the next one is due, and wakes earlier when an earlier one is set.
//!
//! Where nothing polls (`EventDrivenOnly`) the loop also looks now and then for tasks that have been
//! ready for long: the announcement of a worker that was killed right after its commit is lost, and
//! no other loop would find them.

use std::time::Duration;

use tasker_shared::backoff::jittered;
use tasker_shared::channel::Sender;
use tasker_shared::config::{DeploymentMode, OrchestrationConfig};
use tasker_shared::database::DedicatedConnection;
use tasker_shared::error::Error;
use tasker_shared::outage::Outage;
use tasker_shared::readiness::{
    TimersFired, find_ready_tasks_of, fire_and_announce_due_timers, fire_due_timers,
};
use tasker_shared::supervisor::Supervised;
use tasker_shared::telemetry::metrics;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::commands::{LookReason, OrchestrationCommand};
use crate::engine::{Engine, FROZEN_AFTER};
use crate::task_readiness::search::Search;
use crate::tending::Tending;

/// Looks are at least this far apart unless a batch was full: timers that are due almost together
/// fire together.
const RESOLUTION: Duration = Duration::from_millis(5);

/// Sleep while the next timer is overdue but did not fire: another orchestrator is firing it, and
/// this one comes back only in case it dies over that.
const OVERDUE_PAUSE: Duration = Duration::from_millis(100);

/// How long a look waits for a locked queue, before it goes on with the others.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How the timers look.
#[derive(Debug, Clone)]
pub(crate) struct TimerSettings {
    batch_size: i32,
    /// Namespaces that this orchestrator serves; all, where none is named.
    namespaces: Vec<String>,
    max_sleep: Duration,
    /// Where nothing polls: how to look for what was overlooked.
    search: Option<Search>,
}

impl TimerSettings {
    pub(crate) fn new(config: &OrchestrationConfig) -> Self {
        let max_sleep = config.timers.max_sleep;
        let readiness = &config.task_readiness;
        let (max_sleep, search) = match config.deployment.mode {
            DeploymentMode::EventDrivenOnly => {
                let search = Search::within(max_sleep, readiness.age_threshold);
                (max_sleep, Some(search))
            }
            DeploymentMode::Hybrid => (max_sleep, None),
            // No notification announces an earlier timer, so the polling interval bounds the delay.
            DeploymentMode::PollingOnly => {
                (max_sleep.min(readiness.fallback_polling_interval), None)
            }
        };
        Self {
            batch_size: config.timers.batch_size,
            namespaces: config.namespaces.clone(),
            max_sleep,
            search,
        }
    }

    /// When to look for what was overlooked, where that is done.
    fn next_search(&self) -> Option<Instant> {
        self.search.map(|search| Instant::now() + search.pause())
    }

    /// How long to sleep after a look that had this result.
    fn sleep_after(&self, fired: &TimersFired) -> Duration {
        if fired.fired >= self.batch_size {
            return Duration::ZERO;
        }
        let longest = jittered(self.max_sleep);
        match fired.next_due_in {
            None => longest,
            Some(Duration::ZERO) => OVERDUE_PAUSE.min(longest),
            Some(due) => due.clamp(RESOLUTION, longest.max(RESOLUTION)),
        }
    }
}

/// The loop that fires timers.
pub(crate) struct Timers {
    settings: TimerSettings,
    engine: Engine,
    connection: DedicatedConnection,
    outage: Outage,
    commands: Sender<OrchestrationCommand>,
    stop: CancellationToken,
}

impl Timers {
    pub(crate) fn new(
        settings: TimerSettings,
        engine: &Engine,
        commands: Sender<OrchestrationCommand>,
        stop: CancellationToken,
    ) -> Self {
        let connection = engine.database.dedicated().within(FROZEN_AFTER);
        Self {
            settings,
            connection: connection.waiting_for_locks(LOCK_TIMEOUT),
            outage: engine.outages.outage(Self::NAME, "fire due timers"),
            engine: engine.clone(),
            commands,
            stop,
        }
    }
}

impl Supervised for Timers {
    const NAME: &'static str = "timers";

    async fn run(&mut self) {
        let Self {
            settings,
            engine,
            connection,
            outage,
            commands,
            stop,
        } = self;
        let mut next_look = Instant::now();
        let mut not_before = next_look;
        let mut search_at = settings.next_search();
        let mut tending = Tending::new();
        // Whether timers may have fired in a call whose answer never came, here or before a restart.
        let mut unanswered = true;
        loop {
            let reason = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = told_to_look(engine, not_before) => "timer_set",
                () = sleep_until(next_look) => "due",
                () = due(search_at) => "search",
            };
            metrics().woke(Self::NAME, reason);
            let look = async {
                let fired = fire(settings, connection).await?;
                if fired.fired > 0 || unanswered {
                    request_claim(commands, LookReason::RetriesFired).await;
                }
                if let (Some(how), Some(at)) = (settings.search, search_at)
                    && at <= Instant::now()
                {
                    search(how, &settings.namespaces, connection, commands).await?;
                    search_at = settings.next_search();
                }
                tending.tend(connection).await?;
                Ok::<_, Error>(settings.sleep_after(&fired))
            };
            let looked = look.await;
            unanswered = looked.is_err();
            let pause = outage.pause_after(looked);
            not_before = Instant::now() + RESOLUTION;
            next_look = Instant::now() + pause;
            if unanswered && search_at.is_some_and(|at| at < next_look) {
                search_at = Some(next_look);
            }
        }
    }
}

/// Returns at this moment, where there is one.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Returns when a timer was set; a burst of them is one look.
async fn told_to_look(engine: &Engine, not_before: Instant) {
    sleep_until(not_before).await;
    engine.wakeups.timers().await;
}

async fn fire(
    settings: &TimerSettings,
    connection: &mut DedicatedConnection,
) -> Result<TimersFired, Error> {
    let fired = connection
        .call("fire_due_timers", async |connection| {
            if settings.namespaces.is_empty() {
                fire_due_timers(connection, settings.batch_size).await
            } else {
                // What becomes ready may be for others.
                fire_and_announce_due_timers(connection, settings.batch_size).await
            }
        })
        .await?;
    if fired.fired > 0 {
        metrics().timers_fired(u64::from(fired.fired.unsigned_abs()));
    }
    Ok(fired)
}

/// Looks for a task that was overlooked; one suffices, because a claim takes whatever is ready.
async fn search(
    how: Search,
    namespaces: &[String],
    connection: &mut DedicatedConnection,
    commands: &Sender<OrchestrationCommand>,
) -> Result<(), Error> {
    let overlooked = connection
        .call("find_ready_tasks", async |connection| {
            find_ready_tasks_of(connection, how.older_than, 1, namespaces).await
        })
        .await?;
    if !overlooked.is_empty() {
        request_claim(commands, LookReason::Overlooked).await;
    }
    Ok(())
}

async fn request_claim(commands: &Sender<OrchestrationCommand>, reason: LookReason) {
    let command = OrchestrationCommand::LookForReadyTasks { reason };
    // A processor that is gone means that the orchestrator stops; the next one looks at its start.
    let _stopping = commands.send(command).await;
}

#[cfg(test)]
mod tests {
    use tasker_shared::config::TaskerConfig;
    use tasker_testing::{TestDatabase, WAIT_TIMEOUT};
    use tokio::time::timeout;

    use super::*;
    use crate::channels;

    fn settings(mode: DeploymentMode) -> TimerSettings {
        let mut config = TaskerConfig::default().orchestration;
        config.deployment.mode = mode;
        config.timers.max_sleep = Duration::from_secs(30);
        config.task_readiness.fallback_polling_interval = Duration::from_secs(2);
        TimerSettings::new(&config)
    }

    fn look(fired: i32, next_due_in: Option<Duration>) -> TimersFired {
        TimersFired {
            fired,
            woken_queues: Vec::new(),
            next_due_in,
        }
    }

    #[test]
    fn the_loop_sleeps_until_the_next_timer_is_due() {
        let due = Duration::from_millis(250);
        let settings = settings(DeploymentMode::Hybrid);
        assert_eq!(settings.sleep_after(&look(3, Some(due))), due);
    }

    #[test]
    fn the_loop_looks_again_at_once_after_a_full_batch() {
        let settings = settings(DeploymentMode::Hybrid);
        let full = look(settings.batch_size, Some(Duration::from_secs(9)));
        assert_eq!(settings.sleep_after(&full), Duration::ZERO);
    }

    #[test]
    fn the_loop_never_spins_on_a_timer_that_another_orchestrator_is_firing() {
        let settings = settings(DeploymentMode::Hybrid);
        let sleep = settings.sleep_after(&look(0, Some(Duration::ZERO)));
        assert_eq!(sleep, OVERDUE_PAUSE);
    }

    #[test]
    fn a_loop_without_notifications_sleeps_no_longer_than_the_polling_interval() {
        let sleep = settings(DeploymentMode::PollingOnly).sleep_after(&look(0, None));
        assert!(sleep <= Duration::from_secs(2), "{sleep:?}");
        let sleep = settings(DeploymentMode::EventDrivenOnly).sleep_after(&look(0, None));
        assert!(sleep > Duration::from_secs(2), "{sleep:?}");
    }

    #[test]
    fn overlooked_tasks_are_searched_for_where_nothing_polls() {
        for mode in [
            DeploymentMode::EventDrivenOnly,
            DeploymentMode::Hybrid,
            DeploymentMode::PollingOnly,
        ] {
            assert_eq!(settings(mode).search.is_some(), !mode.polls());
        }
    }

    #[tokio::test]
    async fn ready_tasks_are_looked_for_at_the_start_as_the_loop_before_may_have_fired_retries() {
        let db = TestDatabase::create().await;
        let engine = Engine::new(&db.database().await, &TaskerConfig::default());
        let (commands, mut received) = channels::commands(&TaskerConfig::default());
        let settings = settings(DeploymentMode::Hybrid);
        let mut timers = Timers::new(settings, &engine, commands, CancellationToken::new());

        let command = tokio::select! {
            () = timers.run() => None,
            command = timeout(WAIT_TIMEOUT, received.recv()) => command.expect("a command in time"),
        };

        let reason = LookReason::RetriesFired;
        assert_eq!(
            command,
            Some(OrchestrationCommand::LookForReadyTasks { reason })
        );
    }
}
