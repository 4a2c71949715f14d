//! Outages on a paused clock.

use std::future::{pending, ready};

use tokio::time::{advance, timeout};

use super::*;

fn gone(message: &str) -> Error {
    Error::Unavailable {
        message: message.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_from_its_first_failure_to_the_next_success() {
    let outages = Outages::default();
    let mut outage = outages.outage("loop", "look");
    assert_eq!(outages.failing(), []);
    assert_eq!(outages.last_answer(), None);

    assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
    advance(Duration::from_secs(3)).await;
    assert!(outage.failed(&gone("password")) >= FIRST_PAUSE);
    let failing = Failing {
        name: "loop",
        doing: "look",
        lasts: Duration::from_secs(3),
    };
    assert_eq!(outages.failing(), [failing]);

    outage.over();
    advance(Duration::from_secs(1)).await;
    assert_eq!(outages.failing(), []);
    assert_eq!(outages.last_answer(), Some(Duration::from_secs(1)));
    assert!(outage.failed(&gone("away")) <= FIRST_PAUSE);
}

/// When a loop looks that fails each time.
async fn looks_of_one_that_fails() -> Vec<Duration> {
    let (mut outage, stop) = (Outage::new("loop", "look"), CancellationToken::new());
    let (began, mut looks) = (Instant::now(), Vec::new());
    let look = || {
        looks.push(began.elapsed());
        if looks.len() == 10 {
            stop.cancel();
        }
        ready(Err(gone("away")))
    };
    outage.look_after(Duration::ZERO, look, &stop).await;
    looks
}

#[tokio::test(start_paused = true)]
async fn two_loops_that_fail_together_do_not_try_again_in_step() {
    let (one, another) = tokio::join!(looks_of_one_that_fails(), looks_of_one_that_fails());

    assert_eq!((one.len(), another.len()), (10, 10));
    let in_step = one.iter().zip(&another).filter(|(a, b)| a == b).count();
    assert!(in_step <= 3, "{one:?} and {another:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_pause_and_a_look_at_once() {
    let (mut outage, stop) = (Outage::new("loop", "look"), CancellationToken::new());
    let began = Instant::now();
    let hour = Duration::from_hours(1);
    let pausing = outage.look_after(hour, || ready(Ok(hour)), &stop);
    let stopping = async {
        advance(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let both = async { tokio::join!(pausing, stopping) };
    timeout(hour / 2, both).await.expect("the pause goes on");
    assert_eq!(began.elapsed(), Duration::from_secs(1));

    let stop = CancellationToken::new();
    let look = || {
        stop.cancel();
        pending()
    };
    let looking = outage.look_after(Duration::ZERO, look, &stop);
    timeout(hour, looking).await.expect("the look goes on");
}

#[tokio::test]
async fn pauses_are_no_longer_than_they_may_be() {
    let longest = Duration::from_millis(10);
    let mut outage = Outage::new("loop", "look").pausing_at_most(longest);
    assert!((0..10).all(|_| outage.failed(&gone("away")) <= longest));
}
