//! Sends that try again, and how long blocked sends wait.

use super::*;
use crate::channel::Waits;

const RETRY: SendRetry = SendRetry {
    max_retries: 3,
    backoff: Duration::from_millis(50),
    attempt_timeout: Duration::ZERO,
};

#[tokio::test(start_paused = true)]
async fn a_send_that_may_not_try_again_hands_the_message_back() {
    let (sender, _receiver) = full_of("retries", 0..1);
    let start = tokio::time::Instant::now();
    let error = sender.send_retry(1, RETRY).await.unwrap_err();
    assert!(matches!(error, NotSent::RetriesExceeded(1)));
    let paused = start.elapsed().as_millis();
    assert!((175..=360).contains(&paused), "50, 100 and 200 ms, or half");
    let failures = sender.monitor().counters().failures;
    let expected = Failures {
        retries_exceeded: 1,
        ..Failures::default()
    };
    assert_eq!(failures, expected);
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_finds_the_room_that_the_first_did_not() {
    let (sender, mut receiver) = full_of("later_attempt", 0..1);
    let sending = sender.send_retry(1, RETRY);
    pin!(sending);
    assert!((&mut sending).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    sending.await.unwrap();
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(sender.monitor().counters().failures, Failures::default());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_in_line_as_long_as_it_is_told_to() {
    let (sender, mut receiver) = full_of("attempt_waits", 0..1);
    let retry = SendRetry {
        attempt_timeout: LONG,
        ..RETRY
    };
    let sending = sender.send_retry(1, retry);
    pin!(sending);
    assert!((&mut sending).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    assert!((&mut sending).now_or_never().is_some(), "without a pause");
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_the_receiver_goes() {
    let (sender, receiver) = full_of("retries_end", 0..1);
    let sending = sender.send_retry(1, RETRY);
    pin!(sending);
    assert!((&mut sending).now_or_never().is_none());
    drop(receiver);
    assert!(matches!(sending.await, Err(NotSent::Closed(1))));
}

#[tokio::test(start_paused = true)]
async fn every_blocked_send_leaves_its_wait_in_the_histogram() {
    let (sender, mut receiver) = full_of("waits_counted", 0..1);
    {
        let waiting = sender.send(1);
        pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        tokio::time::advance(Duration::from_millis(3)).await;
        receiver.recv().await.unwrap();
        waiting.await.unwrap();
    }
    let timeout = Duration::from_millis(700);
    sender.send_timeout(2, timeout).await.unwrap_err();
    drop(sender.send(3).boxed());
    let mut abandoned = sender.send(4).boxed();
    assert!((&mut abandoned).now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(100)).await;
    drop(abandoned);

    let Counters { blocked, waits, .. } = sender.monitor().counters();
    assert_eq!((blocked, waits.count()), (3, 3));
    let total = waits.total().as_secs_f64();
    assert!((100.7..100.72).contains(&total), "{total}");
    let (counts, means): (Vec<_>, Vec<_>) = waits.since(Waits::default()).unzip();
    assert_eq!(counts, [1, 1, 1], "{means:?}");
    assert!(means[0] > Duration::from_millis(1) && means[0] <= Duration::from_millis(5));
    assert!(means[1] > Duration::from_millis(500) && means[1] <= Duration::from_secs(1));
}
