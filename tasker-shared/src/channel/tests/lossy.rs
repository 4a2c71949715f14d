//! What becomes of messages that find a lossy channel full.

use super::*;
use crate::config::DropPolicy;

const IN: Admission = Admission::Admitted { displaced: 0 };

fn received<T>(receiver: &mut Receiver<T>) -> Vec<T> {
    std::iter::from_fn(|| receiver.try_recv()).collect()
}

const fn dropped(admission: Admission) -> usize {
    match admission {
        Admission::Admitted { displaced } => displaced,
        Admission::Dropped => 1,
    }
}

async fn sent(policy: DropPolicy, name: &'static str) -> (Vec<Admission>, Vec<i32>, Counters) {
    let (sender, mut receiver) = lossy(spec(name, 2), policy);
    let mut admissions = Vec::new();
    for message in 0..5 {
        admissions.push(sender.send(message).await.unwrap());
    }
    let left = received(&mut receiver);
    (admissions, left, sender.monitor().counters())
}

#[tokio::test]
async fn the_newest_is_dropped_where_the_policy_says_so() {
    let (admissions, left, counters) = sent(DropPolicy::DropNewest, "newest").await;
    assert_eq!(admissions[..2], [IN; 2]);
    assert_eq!(admissions[2..], [Admission::Dropped; 3]);
    assert_eq!(left, [0, 1]);
    assert_eq!(
        (counters.sent, counters.dropped, counters.blocked),
        (2, 3, 0)
    );
}

#[tokio::test]
async fn the_oldest_is_dropped_where_the_policy_says_so() {
    let (admissions, left, counters) = sent(DropPolicy::DropOldest, "oldest").await;
    assert_eq!(admissions[..2], [IN; 2]);
    assert_eq!(admissions[2..], [Admission::Admitted { displaced: 1 }; 3]);
    assert_eq!(left, [3, 4]);
    assert_eq!(
        (counters.sent, counters.dropped, counters.blocked),
        (5, 3, 0)
    );
}

#[tokio::test]
async fn the_sender_waits_where_the_policy_says_so() {
    let (sender, mut receiver) = lossy(spec("policy_blocks", 1), DropPolicy::Block);
    assert_eq!(sender.send(0).await.unwrap(), IN);
    let waiting = sender.send(1);
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(0));
    assert_eq!(waiting.await.unwrap(), IN);
    let counters = sender.monitor().counters();
    assert_eq!((counters.blocked, counters.dropped), (1, 0));
}

#[tokio::test]
async fn nothing_is_dropped_while_there_is_room() {
    for (name, policy) in [
        ("room_newest", DropPolicy::DropNewest),
        ("room_oldest", DropPolicy::DropOldest),
    ] {
        let (sender, mut receiver) = lossy(spec(name, 3), policy);
        for message in 0..3 {
            assert_eq!(sender.send(message).await.unwrap(), IN);
        }
        assert_eq!(received(&mut receiver), [0, 1, 2]);
    }
}

#[tokio::test]
async fn whatever_the_policy_a_sender_learns_that_the_receiver_is_gone() {
    for (name, policy) in [
        ("gone_block", DropPolicy::Block),
        ("gone_newest", DropPolicy::DropNewest),
        ("gone_oldest", DropPolicy::DropOldest),
    ] {
        let (sender, receiver) = lossy(spec(name, 1), policy);
        sender.send(0).await.unwrap();
        drop(receiver);
        assert!(matches!(sender.send(1).await, Err(Closed(1))), "{name}");
    }
}

/// Many senders at once; the receiver looks only now and then.
async fn storm(name: &'static str, policy: DropPolicy) -> (u64, Vec<Vec<u64>>, Counters) {
    const SENDERS: usize = 8;
    const EACH: u64 = 3_000;
    let (sender, mut receiver) = lossy(spec(name, 16), policy);
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut sum = 0;
                for message in 0..EACH {
                    sum += dropped(sender.send((number, message)).await.unwrap()) as u64;
                }
                sum
            })
        })
        .collect();
    let monitor = sender.monitor();
    drop(sender);
    let mut by_sender = vec![Vec::new(); SENDERS];
    while let Some((number, message)) = receiver.recv().await {
        by_sender[number].push(message);
        tokio::task::yield_now().await;
    }
    let mut told = 0;
    for sender in senders {
        told += sender.await.unwrap();
    }
    let all: usize = by_sender.iter().map(Vec::len).sum();
    let counters = monitor.counters();
    assert_eq!(counters.received, all as u64);
    assert_eq!(counters.dropped, told, "senders are told what is counted");
    for messages in &by_sender {
        assert!(
            messages.is_sorted_by(|one, next| one < next),
            "each sender's messages stay in order and come once"
        );
    }
    (SENDERS as u64 * EACH, by_sender, counters)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrent_senders_every_message_is_received_or_counted_as_dropped() {
    let (offered, _, newest) = storm("storm_newest", DropPolicy::DropNewest).await;
    assert_eq!(newest.sent, newest.received);
    assert_eq!(newest.received + newest.dropped, offered);

    let (offered, by_sender, oldest) = storm("storm_oldest", DropPolicy::DropOldest).await;
    assert_eq!(oldest.sent, offered);
    assert_eq!(oldest.received + oldest.dropped, offered);
    let last_of_all = by_sender.iter().filter_map(|messages| messages.last());
    assert!(last_of_all.max() == Some(&2_999), "the newest are kept");

    let (offered, _, block) = storm("storm_block", DropPolicy::Block).await;
    assert_eq!((block.received, block.dropped), (offered, 0));
    assert!(block.blocked > 0);
}
