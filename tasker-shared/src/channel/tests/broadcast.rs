//! What every subscriber of a broadcast gets, and what a slow one misses.

use super::*;

#[tokio::test]
async fn every_subscriber_gets_every_message_sent_since_it_subscribed() {
    let sender = broadcast(spec("fan_out", 4));
    sender.send(0);
    let mut first = sender.subscribe();
    sender.send(1);
    let mut second = sender.subscribe();
    sender.send(2);
    assert_eq!(sender.subscribers(), 2);
    assert_eq!(first.recv().await, Ok(1));
    assert_eq!(first.recv().await, Ok(2));
    assert_eq!(second.recv().await, Ok(2));
    assert!(second.recv().now_or_never().is_none());
    let counters = sender.monitor().counters();
    assert_eq!((counters.sent, counters.received), (3, 3));
}

#[tokio::test]
async fn a_slow_subscriber_learns_how_many_it_missed_and_goes_on() {
    let sender = broadcast(spec("lag", 2));
    let (mut slow, mut quick) = (sender.subscribe(), sender.subscribe());
    for message in 0..5 {
        let missed = sender.send(message);
        assert_eq!(missed, usize::from(message > 1));
        assert_eq!(quick.recv().await, Ok(message));
    }
    assert_eq!(slow.recv().await, Err(NotReceived::Lagged(3)));
    assert_eq!(slow.recv().await, Ok(3));
    assert_eq!(slow.recv().await, Ok(4));
    assert!(slow.recv().now_or_never().is_none());
    assert_eq!(sender.monitor().status().dropped_total, 3);
}

#[tokio::test]
async fn usage_is_what_the_slowest_subscriber_has_before_it() {
    let sender = broadcast(spec("slowest", 4));
    let (mut slow, mut quick) = (sender.subscribe(), sender.subscribe());
    for message in 0..3 {
        sender.send(message);
    }
    assert_eq!(quick.recv().await, Ok(0));
    assert_eq!(sender.monitor().status().len, 3);
    assert_eq!(slow.recv().await, Ok(0));
    assert_eq!(sender.monitor().status().len, 2);
    drop(slow);
    assert_eq!(quick.recv().await, Ok(1));
    assert_eq!(quick.recv().await, Ok(2));
    assert_eq!(sender.monitor().status().len, 0);
}

#[tokio::test]
async fn a_subscriber_that_stands_still_is_no_reason_to_call_channels_degraded() {
    let sender = broadcast(spec("stuck_broadcast", 2));
    let _stuck = sender.subscribe();
    for message in 0..5 {
        sender.send(message);
    }
    assert!(status("stuck_broadcast").unwrap().is_saturated(1.0));
    let (_sender, _receiver) = full_of("stuck_queue", [1, 2].into_iter());
    let registry::ChannelHealthStatus::Degraded { warnings } = registry::check_channel_health(1.0)
    else {
        panic!("a queue is full");
    };
    let warned = |name: &str| warnings.iter().any(|warning| warning.contains(name));
    assert!(warned("stuck_queue"));
    assert!(!warned("stuck_broadcast"));
}

#[tokio::test]
async fn nothing_is_kept_for_nobody() {
    let message = Arc::new(());
    let sender = broadcast(spec("nobody", 4));
    assert_eq!(sender.send(Arc::clone(&message)), 0);
    assert_eq!(Arc::strong_count(&message), 1);
    let subscriber = sender.subscribe();
    sender.send(Arc::clone(&message));
    assert_eq!(Arc::strong_count(&message), 2);
    drop(subscriber);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_by_a_message_and_by_the_end() {
    let sender = broadcast(spec("woken", 4));
    let mut subscriber = sender.subscribe();
    {
        let waiting = subscriber.recv();
        pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        sender.send(1);
        assert_eq!(waiting.await, Ok(1));
    }
    let other = sender.clone();
    drop(sender);
    assert!(subscriber.recv().now_or_never().is_none());
    other.send(2);
    drop(other);
    assert_eq!(subscriber.recv().await, Ok(2), "what was sent comes first");
    assert_eq!(subscriber.recv().await, Err(NotReceived::Closed));
    assert_eq!(status("woken"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrent_senders_each_subscriber_accounts_for_every_message() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 2_000;
    let sender = broadcast(spec("storm_broadcast", 32));
    let subscribers: Vec<_> = (0..3)
        .map(|_| {
            let mut subscriber = sender.subscribe();
            tokio::spawn(async move {
                let (mut received, mut missed) = (0, 0);
                loop {
                    match subscriber.recv().await {
                        Ok(_) => received += 1,
                        Err(NotReceived::Lagged(count)) => missed += count,
                        Err(NotReceived::Closed) => return (received, missed),
                    }
                }
            })
        })
        .collect();
    let monitor = sender.monitor();
    for _ in 0..SENDERS {
        let sender = sender.clone();
        tokio::spawn(async move {
            for message in 0..EACH {
                sender.send(message);
                if message % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    drop(sender);
    let mut all_missed = 0;
    for subscriber in subscribers {
        let (received, missed) = subscriber.await.unwrap();
        assert_eq!(received + missed, SENDERS * EACH);
        all_missed += missed;
    }
    assert_eq!(monitor.counters().dropped, all_missed);
    assert_eq!(monitor.status().len, 0);
}
