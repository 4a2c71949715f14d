//! Channels that are bounded by bytes as well as by count.

use super::*;

/// A message of this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load(usize);

impl Weighed for Load {
    fn weight(&self) -> usize {
        self.0
    }
}

fn channel(
    name: &'static str,
    capacity: usize,
    max_bytes: usize,
) -> (Sender<Load>, Receiver<Load>) {
    bounded_by_bytes(spec(name, capacity), max_bytes)
}

#[tokio::test]
async fn heavy_messages_fill_a_channel_that_has_places_left() {
    let (sender, mut receiver) = channel("heavy", 1000, 10);
    sender.try_send(Load(6)).unwrap();
    sender.try_send(Load(4)).unwrap();
    assert!(matches!(
        sender.try_send(Load(1)),
        Err(NotSent::Full(Load(1)))
    ));
    let status = sender.monitor().status();
    assert_eq!((status.len, status.bytes), (2, 10));
    assert_eq!(status.max_bytes, Some(10));
    assert!((status.usage_percent - 100.0).abs() < f64::EPSILON);

    receiver.recv().await.unwrap();
    sender.try_send(Load(6)).unwrap();
    assert!(sender.try_send(Load(1)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_full_while_a_message_too_heavy_for_the_rest_of_it_waits() {
    let (sender, mut receiver) = channel("too_heavy", 1000, 10);
    let is_full = || {
        let monitor = sender.monitor();
        let status = monitor.status();
        (monitor.is_saturated(1.0), status.saturation > 0.99)
    };
    sender.try_send(Load(6)).unwrap();
    let mut waiting = sender.send(Load(6)).boxed();
    assert_eq!(is_full(), (false, false));
    let log = logged(|| assert!((&mut waiting).now_or_never().is_none()));
    assert!(log.contains("len=1 capacity=1000 bytes=6"), "{log}");
    assert_eq!(is_full(), (true, true));
    for _ in 0..3 {
        sender.monitor().sample();
        assert_eq!(is_full(), (true, true), "as long as it waits");
    }

    let log = logged(|| assert_eq!(receiver.try_recv(), Some(Load(6))));
    assert!(log.contains("drained"), "{log}");
    waiting.await.unwrap();
    assert_eq!(is_full(), (false, true), "full a moment ago");
}

#[tokio::test]
async fn light_messages_are_bounded_by_count() {
    let (sender, _receiver) = channel("light", 3, 1_000_000);
    for _ in 0..3 {
        sender.try_send(Load(0)).unwrap();
    }
    assert!(sender.try_send(Load(0)).is_err());
}

#[tokio::test]
async fn a_message_heavier_than_the_bound_passes_alone() {
    let (sender, mut receiver) = channel("alone", 10, 10);
    sender.try_send(Load(1)).unwrap();
    assert!(sender.try_send(Load(100)).is_err(), "not with another");
    let waiting = sender.send(Load(100));
    pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(receiver.recv().await, Some(Load(1)));
    waiting.await.unwrap();
    assert!(sender.try_send(Load(0)).is_err(), "nor another with it");
    let usage = sender.monitor().usage_percent();
    assert!((usage - 100.0).abs() < f64::EPSILON, "{usage}");
    assert_eq!(receiver.recv().await, Some(Load(100)));
    sender.try_send(Load(10)).unwrap();
    assert_eq!(receiver.recv().await, Some(Load(10)));
    assert_eq!(sender.monitor().status().bytes, 0);
}

#[tokio::test]
async fn light_messages_do_not_overtake_a_heavy_one_that_waits() {
    let (sender, mut receiver) = channel("overtake", 10, 10);
    sender.try_send(Load(8)).unwrap();
    let heavy = sender.send(Load(9));
    let light = sender.send(Load(1));
    pin!(heavy, light);
    assert!((&mut heavy).now_or_never().is_none());
    assert!((&mut light).now_or_never().is_none());
    assert!(sender.try_send(Load(1)).is_err());
    receiver.recv().await.unwrap();
    assert!((&mut heavy).now_or_never().is_some());
    assert!((&mut light).now_or_never().is_some());
    assert_eq!(receiver.recv().await, Some(Load(9)));
    assert_eq!(receiver.recv().await, Some(Load(1)));
}

#[tokio::test]
async fn one_heavy_message_makes_room_for_several_light_ones() {
    let (sender, mut receiver) = channel("several", 10, 10);
    sender.try_send(Load(10)).unwrap();
    let mut waiting: Vec<_> = (1..=3)
        .map(|load| sender.send(Load(load)).boxed())
        .collect();
    for send in &mut waiting {
        assert!(send.now_or_never().is_none());
    }
    receiver.recv().await.unwrap();
    for send in &mut waiting {
        assert!(send.now_or_never().is_some());
    }
    assert_eq!(sender.monitor().status().bytes, 6);
}

#[tokio::test]
async fn a_heavy_sender_that_gives_up_lets_light_ones_in() {
    let (sender, _receiver) = channel("lets_in", 10, 10);
    sender.try_send(Load(5)).unwrap();
    let mut heavy = sender.send(Load(9)).boxed();
    let mut light = sender.send(Load(1)).boxed();
    assert!((&mut heavy).now_or_never().is_none());
    assert!((&mut light).now_or_never().is_none());
    drop(heavy);
    assert!(light.now_or_never().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bytes_never_pass_the_bound_whatever_is_sent_at_once() {
    const BOUND: usize = 1000;
    let (sender, mut receiver) = channel("storm_bytes", 50, BOUND);
    let monitor = sender.monitor();
    for number in 0..8_usize {
        let sender = sender.clone();
        tokio::spawn(async move {
            for message in 0..2_000 {
                let load = Load((number * 37 + message * 13) % 400);
                if message % 5 == 0 {
                    // Some give up, wherever they stand.
                    let _ = sender.send_timeout(load, Duration::ZERO).await;
                } else {
                    sender.send(load).await.unwrap();
                }
            }
        });
    }
    drop(sender);
    let mut bytes = 0;
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, 7).await > 0 {
        bytes += batch.drain(..).map(|load| load.0).sum::<usize>();
        let status = monitor.status();
        assert!(status.bytes <= BOUND && status.len <= 50, "{status:?}");
    }
    assert!(bytes > 8 * 1_600 * 100);
    let status = monitor.status();
    assert_eq!((status.len, status.bytes), (0, 0));
    assert_eq!(status.sent_total, status.received_total);
}
