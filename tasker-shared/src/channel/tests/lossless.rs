//! What every channel that loses nothing promises: order, turns, closing, counting.

use super::*;

#[tokio::test]
async fn messages_arrive_in_the_order_they_were_sent() {
    let (sender, mut receiver) = bounded(spec("order", 3));
    for message in 0..3 {
        sender.send(message).await.unwrap();
    }
    drop(sender);
    assert_eq!(receiver.recv().await, Some(0));
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(receiver.recv().await, Some(2));
    assert_eq!(receiver.recv().await, None);
}

#[tokio::test]
async fn a_sender_waits_until_a_place_is_free() {
    let (sender, mut receiver) = full_of("waits", 0..2);
    let waiting = sender.send(2);
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(sender.monitor().status().blocked_total, 1);
    assert_eq!(receiver.recv().await, Some(0));
    waiting.await.unwrap();
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(receiver.recv().await, Some(2));
}

#[tokio::test]
async fn waiting_senders_take_turns() {
    let (sender, mut receiver) = full_of("turns", 0..1);
    let (first, second) = (sender.send(1), sender.send(2));
    pin!(first, second);
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    assert!(
        matches!(sender.try_send(3), Err(NotSent::Full(3))),
        "the place belongs to the first"
    );
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut first).now_or_never().is_some());
    assert_eq!(receiver.recv().await, Some(1));
    assert!((&mut second).now_or_never().is_some());
}

#[tokio::test]
async fn a_sender_that_gives_up_waiting_leaves_its_turn_to_the_next() {
    let (sender, mut receiver) = full_of("gives_up", 0..1);
    let mut first = Box::pin(sender.send(1));
    let second = sender.send(2);
    pin!(second);
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    drop(first);
    second.await.unwrap();
    assert_eq!(receiver.recv().await, Some(2));
}

#[tokio::test]
async fn a_full_channel_hands_the_message_back() {
    let (sender, _receiver) = full_of("hands_back", 0..1);
    assert_eq!(sender.try_send(1).unwrap_err().into_message(), 1);
    assert_eq!(sender.monitor().status().refused_total, 1);
    assert_eq!(sender.len(), 1);
}

#[tokio::test]
async fn a_batch_takes_what_waits_and_does_not_wait_for_more() {
    let (sender, mut receiver) = full_of("batch", 0..5);
    let mut batch = Vec::new();
    assert_eq!(receiver.recv_many(&mut batch, 3).await, 3);
    assert_eq!(receiver.recv_many(&mut batch, 3).await, 2);
    assert_eq!(batch, [0, 1, 2, 3, 4]);
    assert_eq!(receiver.recv_many(&mut batch, 0).await, 0);

    {
        let waiting = receiver.recv_many(&mut batch, 3);
        pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        sender.try_send(5).unwrap();
        assert_eq!(waiting.await, 1);
    }
    drop(sender);
    assert_eq!(receiver.recv_many(&mut batch, 3).await, 0);
    assert_eq!(batch, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_batch_frees_as_many_places_as_it_took() {
    let (sender, mut receiver) = full_of("frees", 0..4);
    assert_eq!(receiver.recv_many(&mut Vec::new(), 3).await, 3);
    for message in 0..3 {
        sender.try_send(message).unwrap();
    }
    assert!(sender.try_send(3).is_err());
}

#[tokio::test]
async fn a_receive_that_is_cancelled_takes_nothing() {
    let (sender, mut receiver) = bounded(spec("cancelled", 2));
    {
        let waiting = receiver.recv();
        pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        sender.try_send(1).unwrap();
    }
    assert_eq!(receiver.recv().now_or_never(), Some(Some(1)));
}

#[tokio::test]
async fn senders_learn_that_the_receiver_is_gone() {
    let (sender, receiver) = full_of("gone", 0..1);
    let waiting = sender.send(1);
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    drop(receiver);
    assert!(matches!(
        (&mut waiting).now_or_never(),
        Some(Err(Closed(1)))
    ));
    assert!(matches!(sender.try_send(2), Err(NotSent::Closed(2))));
    assert!(matches!(
        sender.send_timeout(3, LONG).await,
        Err(NotSent::Closed(3))
    ));
    assert!(sender.is_closed());
    assert_eq!(
        sender.monitor().status().refused_total,
        0,
        "closed is not full"
    );
}

#[tokio::test]
async fn messages_that_nobody_can_receive_are_dropped_with_the_receiver() {
    let answer = Arc::new(());
    let (sender, receiver) = full_of("dropped", [Arc::clone(&answer)].into_iter());
    drop(receiver);
    assert_eq!(Arc::strong_count(&answer), 1);
    drop(sender);
}

#[tokio::test]
async fn a_waiting_receiver_learns_that_the_last_sender_is_gone() {
    let (sender, mut receiver) = bounded::<u8>(spec("last_sender", 1));
    let other = sender.clone();
    let waiting = receiver.recv();
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    drop(sender);
    assert!((&mut waiting).now_or_never().is_none());
    drop(other);
    assert_eq!(waiting.await, None);
}

#[tokio::test]
async fn a_capacity_of_zero_counts_as_one() {
    let (sender, _receiver) = bounded(spec("zero", 0));
    sender.try_send(1).unwrap();
    assert!(sender.try_send(2).is_err());
    assert_eq!(sender.capacity(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_between_threads() {
    const SENDERS: usize = 8;
    const EACH: usize = 5_000;
    let (sender, mut receiver) = bounded(spec("threads", 7));
    for number in 0..SENDERS {
        let sender = sender.clone();
        tokio::spawn(async move {
            for message in 0..EACH {
                sender.send((number, message)).await.unwrap();
            }
        });
    }
    drop(sender);

    let mut next = [0; SENDERS];
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, 5).await > 0 {
        assert!(batch.len() <= 5);
        for (number, message) in batch.drain(..) {
            assert_eq!(
                message, next[number],
                "each sender's messages stay in order"
            );
            next[number] += 1;
        }
    }
    assert_eq!(next, [EACH; SENDERS]);
    let status = receiver.monitor().status();
    assert_eq!(status.len, 0);
    assert_eq!(status.sent_total, status.received_total);
    assert_eq!(status.received_total, (SENDERS * EACH) as u64);
    assert!(status.high_water <= 7);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_runs_out_of_time_hands_the_message_back() {
    let (sender, mut receiver) = full_of("runs_out", 0..1);
    let error = sender.send_timeout(1, LONG).await.unwrap_err();
    assert!(matches!(error, NotSent::TimedOut(1)));
    let counters = sender.monitor().counters();
    assert_eq!((counters.blocked, counters.failures.timed_out), (1, 1));

    let waiting = sender.send_timeout(2, LONG);
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    waiting.await.unwrap();
    assert_eq!(receiver.recv().await, Some(2));
}

#[tokio::test]
async fn a_channel_is_listed_until_its_receiver_is_gone() {
    let (sender, mut receiver) = full_of("listed", 0..4);
    receiver.recv().await.unwrap();
    sender.try_send(4).unwrap();
    receiver.recv().await.unwrap();
    let expected = ChannelStatus {
        name: "listed",
        component: "channel_tests",
        capacity: 4,
        len: 3,
        max_bytes: None,
        bytes: 0,
        usage_percent: 75.0,
        saturation: 1.0,
        high_water: 4,
        sent_total: 5,
        received_total: 2,
        blocked_total: 0,
        refused_total: 0,
        dropped_total: 0,
    };
    assert_eq!(status("listed"), Some(expected));
    drop(receiver);
    assert_eq!(status("listed"), None);
}

#[tokio::test]
async fn totals_of_a_name_go_on_when_its_channel_is_made_again() {
    let sent = || registry::totals()[&("channel_tests", "again")].sent;
    drop(full_of("again", 0..3));
    assert_eq!(sent(), 3);
    let _open = full_of("again", 0..2);
    assert_eq!(sent(), 5);
}

#[tokio::test]
async fn sends_to_a_receiver_that_is_gone_are_counted() {
    let (sender, receiver) = bounded(spec("count_closed", 1));
    drop(receiver);
    assert!(matches!(sender.try_send(1), Err(NotSent::Closed(1))));
    assert!(matches!(sender.send(2).await, Err(Closed(2))));
    let totals = registry::totals()[&("channel_tests", "count_closed")];
    assert_eq!(totals.failures.closed, 2);
    assert_eq!(totals.sent, 0);
}

/// Every reading is of one moment: what was sent is waiting or was received.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn usage_is_exact_at_every_moment() {
    const EACH: u64 = 20_000;
    let (sender, mut receiver) = bounded(spec("exact", 5));
    let monitor = sender.monitor();
    for _ in 0..4 {
        let sender = sender.clone();
        tokio::spawn(async move {
            for message in 0..EACH {
                sender.send(message).await.unwrap();
            }
        });
    }
    drop(sender);
    let reader = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    while !reader.is_finished() {
        let status = monitor.status();
        assert_eq!(status.sent_total, status.received_total + status.len as u64);
        assert!(status.len <= 5);
        tokio::task::yield_now().await;
    }
    let counters = monitor.counters();
    assert_eq!((counters.sent, counters.received), (4 * EACH, 4 * EACH));
    assert_eq!(counters.waits.count(), counters.blocked);
}
