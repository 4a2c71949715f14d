//! Keeps the loops of an orchestrator running, and stops them in order.
//!
//! A loop that ends without being told to, by a panic or a bug, is started again after a pause that
//! grows while it keeps ending. What it held in its hands may be lost, so everything is looked at
//! after each restart.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tasker_shared::backoff::Backoff;
use tasker_shared::telemetry::metrics;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, warn};

use crate::health::{ComponentHealth, ComponentState};
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

impl Stage {
    const IN_ORDER: [Self; 3] = [Self::Discovery, Self::Events, Self::Commands];
}

/// Starts one incarnation of a loop; it has to end when the token is cancelled.
pub(crate) type StartLoop = Box<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// A loop to keep running.
pub(crate) struct Component {
    pub(crate) name: &'static str,
    pub(crate) stage: Stage,
    pub(crate) start: StartLoop,
}

/// Supervises the loops of one orchestrator.
pub(crate) struct UnifiedEventCoordinator {
    supervised: Vec<Supervised>,
    /// Cancelled before the first stage is stopped.
    stopping: CancellationToken,
}

struct Supervised {
    stage: Stage,
    record: Arc<Record>,
    stop: CancellationToken,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

/// What is known about one loop.
struct Record {
    name: &'static str,
    current: Mutex<Current>,
}

struct Current {
    state: ComponentState,
    restarts: u64,
    incarnation: Option<AbortHandle>,
}

impl UnifiedEventCoordinator {
    /// Starts the loops.
    pub(crate) fn start(components: Vec<Component>, backoff: Backoff, wakeups: &Wakeups) -> Self {
        let stopping = CancellationToken::new();
        let supervised = components.into_iter().map(|component| {
            let record = Arc::new(Record::new(component.name));
            let stop = CancellationToken::new();
            let stage = component.stage;
            let supervisor = tokio::spawn(supervise(
                component.start,
                Arc::clone(&record),
                backoff,
                wakeups.clone(),
                Stops {
                    this: stop.clone(),
                    all: stopping.clone(),
                },
            ));
            Supervised {
                stage,
                record,
                stop,
                supervisor: Mutex::new(Some(supervisor)),
            }
        });
        Self {
            supervised: supervised.collect(),
            stopping,
        }
    }

    /// The state of every loop.
    pub(crate) fn health(&self) -> Vec<ComponentHealth> {
        self.supervised
            .iter()
            .map(|supervised| supervised.record.health())
            .collect()
    }

    /// Ends the present incarnation of a loop as a bug would; false where there is none.
    pub(crate) fn abort(&self, name: &str) -> bool {
        let found = self
            .supervised
            .iter()
            .find(|supervised| supervised.record.name == name);
        found.is_some_and(|supervised| supervised.record.abort())
    }

    /// Stops the loops, stage by stage. One that does not end in time is ended.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        for stage in Stage::IN_ORDER {
            let stopping = self
                .supervised
                .iter()
                .filter(|supervised| supervised.stage == stage)
                .map(Supervised::stop);
            join_all(stopping).await;
        }
    }
}

impl Supervised {
    async fn stop(&self) {
        self.stop.cancel();
        let Some(mut supervisor) = lock(&self.supervisor).take() else {
            return;
        };
        if timeout(STAGE_STOP_TIMEOUT, &mut supervisor).await.is_err() {
            warn!(
                name = self.record.name,
                "a loop did not stop within {STAGE_STOP_TIMEOUT:?} and is ended"
            );
            supervisor.abort();
        }
        self.record.set(ComponentState::Stopped, None);
    }
}

impl Record {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            current: Mutex::new(Current {
                state: ComponentState::Running,
                restarts: 0,
                incarnation: None,
            }),
        }
    }

    fn set(&self, state: ComponentState, incarnation: Option<AbortHandle>) {
        let mut current = lock(&self.current);
        current.state = state;
        current.incarnation = incarnation;
        if state == ComponentState::Restarting {
            current.restarts += 1;
        }
    }

    fn abort(&self) -> bool {
        let incarnation = lock(&self.current).incarnation.clone();
        incarnation.inspect(AbortHandle::abort).is_some()
    }

    fn health(&self) -> ComponentHealth {
        let current = lock(&self.current);
        ComponentHealth {
            name: self.name,
            state: current.state,
            restarts: current.restarts,
            failing_for_ms: None,
        }
    }
}

/// How a loop and its supervisor learn of the end.
struct Stops {
    /// This loop has to stop.
    this: CancellationToken,
    /// The loops are being stopped, stage by stage.
    all: CancellationToken,
}

impl Stops {
    /// Whether the end of a loop is what was to be expected: it was told to, or it found that
    /// its senders are gone.
    fn explain(&self, ended: &Result<(), JoinError>) -> bool {
        self.this.is_cancelled() || self.all.is_cancelled() && ended.is_ok()
    }
}

async fn supervise(
    start: StartLoop,
    record: Arc<Record>,
    mut backoff: Backoff,
    wakeups: Wakeups,
    stops: Stops,
) {
    loop {
        let started = Instant::now();
        let incarnation = AbortOnDropHandle::new(tokio::spawn(start(stops.this.clone())));
        record.set(ComponentState::Running, Some(incarnation.abort_handle()));
        let ended = incarnation.await;
        if stops.explain(&ended) {
            return;
        }
        record.set(ComponentState::Restarting, None);
        metrics().supervised_restart(record.name);
        if started.elapsed() > backoff.max() {
            backoff.reset();
        }
        let pause = backoff.pause();
        error!(
            name = record.name,
            reason = why(ended),
            "a loop ended unexpectedly; starting it again in {pause:?}"
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = stops.this.cancelled() => return,
        }
        wakeups.wake_all();
    }
}

fn why(ended: Result<(), JoinError>) -> String {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(()) => "it returned".to_owned(),
        Err(Ok(panic)) => format!("it panicked: {}", panic_message(panic.as_ref())),
        Err(Err(_)) => "it was aborted".to_owned(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use tokio::sync::watch;

    use super::*;

    const NAME: &str = "loop";

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(10))
    }

    fn component<F>(
        name: &'static str,
        stage: Stage,
        start: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) -> Component
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Component {
            name,
            stage,
            start: Box::new(move |stop| Box::pin(start(stop))),
        }
    }

    /// A loop that counts how often it was started and ends when `ends` says so.
    fn counted(
        starts: &watch::Sender<u32>,
        ends: impl Fn(u32) + Copy + Send + Sync + 'static,
    ) -> Component {
        let starts = starts.clone();
        component(NAME, Stage::Discovery, move |stop| {
            let starts = starts.clone();
            async move {
                starts.send_modify(|count| *count += 1);
                let count = *starts.borrow();
                ends(count);
                stop.cancelled().await;
            }
        })
    }

    fn state(coordinator: &UnifiedEventCoordinator) -> ComponentHealth {
        coordinator.health().remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_is_started_again_and_everything_is_looked_at() {
        let (starts, mut started) = watch::channel(0);
        let wakeups = Wakeups::default();
        let panics_twice = counted(&starts, |count| assert!(count > 2, "injected"));
        let coordinator = UnifiedEventCoordinator::start(vec![panics_twice], backoff(), &wakeups);

        started.wait_for(|count| *count == 3).await.unwrap();
        wakeups.ready_tasks().await;
        wakeups.timers().await;

        assert_eq!(state(&coordinator).restarts, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_aborted_shows_as_restarting_and_then_runs() {
        let (starts, mut started) = watch::channel(0);
        let coordinator = UnifiedEventCoordinator::start(
            vec![counted(&starts, |_| {})],
            backoff(),
            &Wakeups::default(),
        );
        started.wait_for(|count| *count == 1).await.unwrap();

        assert!(coordinator.abort(NAME));
        // On a paused clock the restart's pause does not pass while this task only yields.
        while state(&coordinator).state == ComponentState::Running {
            tokio::task::yield_now().await;
        }
        assert_eq!(state(&coordinator).state, ComponentState::Restarting);

        started.wait_for(|count| *count == 2).await.unwrap();
        assert_eq!(state(&coordinator).state, ComponentState::Running);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_a_loop_keeps_ending() {
        let (starts, mut started) = watch::channel(0);
        let began = Instant::now();
        let panics_often = counted(&starts, |count| assert!(count > 6, "injected"));
        let _coordinator =
            UnifiedEventCoordinator::start(vec![panics_often], backoff(), &Wakeups::default());

        started.wait_for(|count| *count == 7).await.unwrap();

        // 100 + 200 + 400 + 800 + 1600 + 3200 ms, each shortened by up to a half.
        let paused = began.elapsed();
        assert!(paused >= Duration::from_millis(3150), "{paused:?}");
        assert!(paused <= Duration::from_millis(6350), "{paused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn loops_are_stopped_stage_by_stage() {
        static STOPPED: AtomicU32 = AtomicU32::new(0);
        let nth_to_stop = |name, stage, position: u32| {
            component(name, stage, move |stop| async move {
                stop.cancelled().await;
                // Others of a later stage would be done by the time this one is.
                sleep(Duration::from_secs(1)).await;
                assert_eq!(STOPPED.fetch_add(1, SeqCst), position, "{name}");
            })
        };
        let components = vec![
            nth_to_stop("processor", Stage::Commands, 2),
            nth_to_stop("system", Stage::Events, 1),
            nth_to_stop("listener", Stage::Discovery, 0),
        ];
        let coordinator =
            UnifiedEventCoordinator::start(components, backoff(), &Wakeups::default());

        coordinator.stop().await;

        assert_eq!(STOPPED.load(SeqCst), 3);
        let states = coordinator.health();
        assert!(
            states
                .iter()
                .all(|health| health.state == ComponentState::Stopped && health.restarts == 0),
            "{states:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ends_with_its_senders_while_all_stop_is_not_started_again() {
        let (sender_is_gone, gone) = watch::channel(false);
        let sender = component("listener", Stage::Discovery, move |stop| {
            let sender_is_gone = sender_is_gone.clone();
            async move {
                stop.cancelled().await;
                sender_is_gone.send_replace(true);
                // The next stage is stopped only after this one has ended.
                sleep(Duration::from_secs(1)).await;
            }
        });
        let receiver = component("system", Stage::Events, move |_stop| {
            let mut gone = gone.clone();
            async move { drop(gone.wait_for(|gone| *gone).await) }
        });
        let coordinator =
            UnifiedEventCoordinator::start(vec![sender, receiver], backoff(), &Wakeups::default());

        coordinator.stop().await;

        let restarts = coordinator
            .health()
            .into_iter()
            .map(|health| health.restarts);
        assert_eq!(restarts.sum::<u64>(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_stop_is_ended_in_bounded_time() {
        let deaf = component(NAME, Stage::Commands, |_stop| std::future::pending());
        let coordinator =
            UnifiedEventCoordinator::start(vec![deaf], backoff(), &Wakeups::default());
        let began = Instant::now();

        coordinator.stop().await;

        assert!(began.elapsed() <= STAGE_STOP_TIMEOUT + Duration::from_secs(1));
        assert_eq!(state(&coordinator).state, ComponentState::Stopped);
    }
}
