//! Loops that panic, return and do not listen.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::*;
use crate::channel::{ChannelSpec, Receiver, bounded};
use crate::config::EventSystemsConfig;

/// A loop that counts in its state how often it was started, and tells it.
struct Counted<F> {
    starts: u32,
    told: watch::Sender<u32>,
    stop: CancellationToken,
    /// What happens at each start.
    acts: F,
}

impl<F: Fn(u32) + Send> Supervised for Counted<F> {
    const NAME: &'static str = "counted";

    async fn run(&mut self) {
        self.starts += 1;
        self.told.send_replace(self.starts);
        (self.acts)(self.starts);
        self.stop.cancelled().await;
    }
}

/// Starts a loop that does `acts` at each start; returns what it tells of its starts.
fn start(supervisor: &mut Supervisor, acts: impl Fn(u32) + Send + 'static) -> watch::Receiver<u32> {
    let (told, starts) = watch::channel(0);
    supervisor.start(Counted {
        starts: 0,
        told,
        stop: supervisor.stopping.clone(),
        acts,
    });
    starts
}

fn config() -> SupervisorConfig {
    EventSystemsConfig::default().supervisor
}

fn supervisor() -> Supervisor {
    Supervisor::new(&config(), CancellationToken::new())
}

fn only(supervisor: &Supervisor) -> ComponentHealth {
    supervisor.health().next().expect("there is a loop")
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_is_started_again_with_its_state_and_what_it_missed_is_made_up_for() {
    let (missed, mut made_up) = watch::channel(0);
    let mut supervisor = supervisor().after_restart(move || missed.send_modify(|it| *it += 1));
    let mut starts = start(&mut supervisor, |starts| assert!(starts > 2, "injected"));

    starts.wait_for(|starts| *starts == 3).await.unwrap();

    made_up.wait_for(|times| *times == 2).await.unwrap();
    assert_eq!(only(&supervisor).restarts, 2);
    assert!(only(&supervisor).is_healthy());
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_returns_before_it_should_is_started_again() {
    struct Returns(u32, CancellationToken);
    impl Supervised for Returns {
        const NAME: &'static str = "returns";

        async fn run(&mut self) {
            self.0 += 1;
            if self.0 == 3 {
                self.1.cancelled().await;
            }
        }
    }
    let mut supervisor = supervisor();
    let stopping = supervisor.stopping.clone();
    supervisor.start(Returns(0, stopping.clone()));
    while only(&supervisor).restarts < 2 {
        assert_ne!(only(&supervisor).state, ComponentState::Stopped);
        sleep(config().restart_min).await;
    }

    stopping.cancel();
    supervisor.ended().await;

    let health = only(&supervisor);
    assert_eq!(
        (health.restarts, health.state),
        (2, ComponentState::Stopped)
    );
}

/// The channel of a loop that panics stays open, and what is in it stays there.
#[tokio::test(start_paused = true)]
async fn a_panic_loses_nothing_that_was_sent() {
    struct Echo(Receiver<u32>, mpsc::Sender<u32>);
    impl Supervised for Echo {
        const NAME: &'static str = "echo";

        async fn run(&mut self) {
            while let Some(number) = self.0.recv().await {
                let _ = self.1.send(number).await;
            }
        }
    }
    let spec = ChannelSpec {
        name: "numbers",
        component: "test",
        capacity: 10,
    };
    let (numbers, received) = bounded(spec);
    #[expect(clippy::disallowed_methods, reason = "it is the test's own")]
    let (echo, mut echoed) = mpsc::channel(10);
    let mut supervisor = supervisor();
    supervisor.start(Echo(received, echo));

    for number in 0..5 {
        assert!(supervisor.make_panic("echo"));
        numbers.send(number).await.unwrap();
        assert_eq!(echoed.recv().await, Some(number));
        assert_eq!(only(&supervisor).restarts, u64::from(number) + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panicked_shows_as_restarting_and_then_runs() {
    let mut supervisor = supervisor();
    let mut starts = start(&mut supervisor, |_| {});
    starts.wait_for(|starts| *starts == 1).await.unwrap();

    assert!(supervisor.make_panic("counted"));
    // On a paused clock the restart's pause does not pass while this task only yields.
    while only(&supervisor).is_healthy() {
        tokio::task::yield_now().await;
    }
    assert_eq!(only(&supervisor).state, ComponentState::Restarting);
    assert!(!supervisor.make_panic("counted"), "it does not run");

    starts.wait_for(|starts| *starts == 2).await.unwrap();
    assert_eq!(only(&supervisor).state, ComponentState::Running);
    assert!(!supervisor.make_panic("another"));
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_a_loop_keeps_ending() {
    let mut supervisor = supervisor();
    let began = Instant::now();
    let mut starts = start(&mut supervisor, |starts| assert!(starts > 6, "injected"));

    starts.wait_for(|starts| *starts == 7).await.unwrap();

    // 100 + 200 + 400 + 800 + 1600 + 3200 ms, each shortened by up to a half.
    let paused = began.elapsed();
    assert!(paused >= Duration::from_millis(3150), "{paused:?}");
    assert!(paused <= Duration::from_millis(6350), "{paused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_pause_of_a_loop_that_panicked_which_ends_as_it_should() {
    let mut supervisor = supervisor();
    let mut starts = start(&mut supervisor, |starts| assert!(starts > 9, "injected"));
    starts.wait_for(|starts| *starts == 9).await.unwrap();
    // Its pause is that of many panics.
    let began = Instant::now();

    supervisor.stopping.cancel();
    supervisor.ended().await;

    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(*starts.borrow(), 10, "it was not asked again");
    assert_eq!(only(&supervisor).state, ComponentState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_stop_is_ended_in_bounded_time() {
    struct Deaf;
    impl Supervised for Deaf {
        const NAME: &'static str = "deaf";

        async fn run(&mut self) {
            std::future::pending::<()>().await;
        }
    }
    let mut supervisor = supervisor();
    supervisor.start(Deaf);
    let (began, longest) = (Instant::now(), Duration::from_secs(3));

    supervisor.end_within(longest).await;

    assert_eq!(began.elapsed(), longest);
    supervisor.ended().await;
    assert_eq!(only(&supervisor).state, ComponentState::Stopped);
}
